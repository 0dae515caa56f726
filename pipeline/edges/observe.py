"""Logs for people and machines: one start line, one statistics line per interval, no payloads.

JSON where nobody looks, readable on a terminal. Never a line per event: what an event was
refused for is in its dead letter's headers.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec
import structlog

from pipeline.core.readable import escaped, one_line
from pipeline.core.record import Record
from pipeline.ports import Session, Tally, Trip

LogFormat = Literal["auto", "json", "console"]
_CRASHES_SHOWN: Final = 10
"""Tracebacks of our own bugs per interval; the count is always complete."""
_OF_LINES: Final = frozenset({"exception", "frames"})
"""Tracebacks; nothing else in a log has more than one line."""
_LAG_EVERY_S: Final = 1.0
_decode_figures: Final = msgspec.json.Decoder(tuple[dict[str, int], int | None]).decode


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send structlog's and the standard library's log lines to standard error."""
    on_terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any
    if log_format == "json" or (log_format == "auto" and not on_terminal):
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=on_terminal, exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _with_escapes,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # librdkafka's own lines are for debugging: what matters of them is in our sentences.
    logging.getLogger("pipeline.librdkafka").setLevel(
        logging.DEBUG if level.lower() == "debug" else logging.CRITICAL
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _with_escapes(_logger: object, _method: str, line: Any) -> Any:  # noqa: ANN401  structlog's
    """A processor: no value can drive a terminal, forge a line or turn the direction of text."""
    return {
        key: escaped(value) if key in _OF_LINES and isinstance(value, str) else _readable(value)
        for key, value in line.items()
    }


def _readable(value: Any) -> Any:  # noqa: ANN401  whatever is logged
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {_readable(key): _readable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    return value


class Figures(NamedTuple):
    """What a worker, or several, have done since their start."""

    counts: Counter[str]
    """`consumed`, `enriched`, `identify`, `lost`, `resets`, `cpu_us` (CPU time of the processes);
    by reason code `dead_lettered.…` and `dropped.…`."""
    lag: int | None
    """Raw records not read yet, in the partitions that are held; None while none is."""

    @property
    def events(self) -> int:
        """What has become of them is known."""
        parts = (self.by_reason("dead_lettered"), self.by_reason("dropped"))
        return self.counts["enriched"] + sum(part.total() for part in parts)

    def by_reason(self, kind: str) -> Counter[str]:
        """`dead_lettered` or `dropped`: reason code → number."""
        start = f"{kind}."
        found = {name: number for name, number in self.counts.items() if name.startswith(start)}
        return Counter({name.removeprefix(start): number for name, number in found.items()})


class StatisticsLog:
    """Writes one line per interval: what was done since the line before."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.stdlib.get_logger("pipeline.worker")
        self._interval_s = interval_s
        self._clock = clock
        self._since = clock()
        self._last: Counter[str] = Counter()

    def is_due(self) -> bool:
        """Whether the interval is over."""
        return self._clock() - self._since >= self._interval_s

    def write(self, total: Figures, **more: int) -> None:
        """Log the interval's line and begin the next interval."""
        now = self._clock()
        done = Figures(total.counts - self._last, total.lag)
        counts, events = done.counts, done.events
        self._log.info(
            "statistics",
            seconds=round(now - self._since, 1),
            consumed=counts["consumed"],
            enriched=counts["enriched"],
            identify=counts["identify"],
            dead_lettered=dict(done.by_reason("dead_lettered").most_common()),
            dropped=dict(done.by_reason("dropped").most_common()),
            lag=done.lag,
            cpu_us_per_event=round(counts["cpu_us"] / events, 1) if events else None,
            lost=counts["lost"],
            resets=counts["resets"],
            total_consumed=total.counts["consumed"],
            **more,
        )
        self._last = total.counts
        self.restart()

    def restart(self) -> None:
        """Begin the next interval without a line."""
        self._since = self._clock()


class LogMeter:
    """Counts what the worker does and logs one line per interval; see `ports.Meter`."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.stdlib.get_logger("pipeline.worker")
        self._statistics = StatisticsLog(interval_s, clock)
        self._cpu = time.process_time()
        self._total = Tally()
        self._counts: Counter[str] = Counter()
        self._crashes = 0

    def committed(self, tally: Tally) -> None:
        """See `ports.Meter`."""
        self._total.add(tally)

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        if self._statistics.is_due():
            self.statistics(session.lag())

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        self._counts["resets"] += 1
        self._log.warning("recovering", how=how, cause=str(error), attempt=attempt)

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`. The frames are logged, the message is not: it may quote the event."""
        self._crashes += 1
        if self._crashes <= _CRASHES_SHOWN:
            frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
            self._log.error(
                "processing_error",
                source=f"{record.topic}/{record.partition}/{record.offset}",
                error=type(error).__name__,
                frames="".join(frames),
            )

    def isolated(self, record: Record, cause: str) -> None:
        """See `ports.Meter`."""
        source = f"{record.topic}/{record.partition}/{record.offset}"
        self._log.error("record_isolated", source=source, cause=cause)

    def narrowing(self, records: int, cause: str) -> None:
        """See `ports.Meter`."""
        self._log.warning("narrowing", records=records, cause=cause)

    def lost(self, records: int) -> None:
        """See `ports.Meter`."""
        self._counts["lost"] += records

    def tripped(self, trip: Trip) -> None:
        """See `ports.Meter`."""
        self._log.error("breaker_open", message=trip.sentence(), **trip._asdict())

    def statistics(self, lag: int | None) -> None:
        """Log the interval's line and begin the next interval."""
        self._crashes = 0
        self._statistics.write(self.figures(lag))

    def figures(self, lag: int | None) -> Figures:
        """What was done since the start."""
        total, counts = self._total, Counter(self._counts)
        counts["consumed"] = total.records
        counts["enriched"] = total.enriched
        counts["identify"] = total.identify
        counts["cpu_us"] = int((time.process_time() - self._cpu) * 1e6)
        for kind, reasons in (("dead_lettered", total.dead_letters), ("dropped", total.dropped)):
            counts.update({f"{kind}.{reason}": number for reason, number in reasons.items()})
        return Figures(counts, lag)


class Store(Protocol):
    """Bytes that outlive the process which writes them."""

    def write(self, payload: bytes) -> None:
        """Replace what is there."""

    def read(self) -> bytes | None:
        """What is there; None when it can't be told."""


class SlotMeter(LogMeter):
    """One of several workers': its figures go to the supervisor, which logs them for all."""

    def __init__(
        self, store: Store, interval_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(interval_s, clock)
        self._clock = clock
        self._store = store
        self._lag: int | None = None
        self._looked = clock()
        self._tell()

    def committed(self, tally: Tally) -> None:
        """See `ports.Meter`. Told at once: the process may be killed at any moment."""
        super().committed(tally)
        self._tell()

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        if self._lag is None or self._clock() - self._looked >= _LAG_EVERY_S:
            self._looked = self._clock()
            self._lag = session.lag()
            self._tell()
        super().tick(session)

    def statistics(self, lag: int | None) -> None:
        """Tell the supervisor, and begin the next interval."""
        self._crashes, self._lag = 0, lag
        self._statistics.restart()
        self._tell()

    def _tell(self) -> None:
        self._store.write(msgspec.json.encode(self.figures(self._lag)))


class FleetStatistics:
    """The figures of several workers, dead ones too, in one line per interval."""

    def __init__(
        self,
        stores: Sequence[Store],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = StatisticsLog(interval_s, clock)
        self._stores = stores
        self._before: Counter[str] = Counter()
        """Of the workers that have ended."""
        self._now: list[Figures | None] = [None] * len(stores)

    def began(self) -> bool:
        """Whether any worker has ever found Kafka and the topics as they should be."""
        self._read()
        return bool(self._before) or any(self._now)

    def consumed(self) -> int:
        """Records committed since the start, by all workers."""
        return self._total().counts["consumed"]

    def ended(self, slot: int) -> int:
        """Close the account of a worker that ended: how many records it has committed."""
        self._read()
        figures, self._now[slot] = self._now[slot], None
        self._stores[slot].write(b"")
        if figures is None:
            return 0
        self._before += figures.counts
        return figures.counts["consumed"]

    def tick(self, workers: int) -> None:
        """Log the line of the interval, when it is due; `workers` are alive."""
        if self._line.is_due():
            self.log(workers)

    def log(self, workers: int) -> None:
        """Log the line now."""
        total, lags = self._total(), self._lags()
        self._line.write(total, workers=workers, workers_reading=len(lags))

    def _total(self) -> Figures:
        self._read()
        counts = sum((figures.counts for figures in self._now if figures), self._before)
        lags = self._lags()
        return Figures(counts, sum(lags) if lags else None)

    def _lags(self) -> list[int]:
        """Of the workers that hold partitions."""
        return [each.lag for each in self._now if each and each.lag is not None]

    def _read(self) -> None:
        """What can't be read at this moment stays as it was."""
        for slot, store in enumerate(self._stores):
            if payload := store.read():
                counts, lag = _decode_figures(payload)
                self._now[slot] = Figures(Counter(counts), lag)
