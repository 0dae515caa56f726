"""What a worker does, counted and logged."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from pipeline.core.record import Record
from pipeline.core.tally import Tally
from pipeline.edges.observe.statistics import Figures, StatisticsLog
from pipeline.ports import Lag, Session, Trip

_CRASHES_SHOWN: Final = 10
"""Tracebacks of our own bugs per interval; the count is always complete."""


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

    def statistics(self, lag: Lag | None) -> None:
        """Log the interval's line and begin the next interval."""
        self._crashes = 0
        self._statistics.write(self.figures(lag))

    def figures(self, lag: Lag | None) -> Figures:
        """What was done since the start."""
        total, counts = self._total, Counter(self._counts)
        counts["consumed"] = total.records
        counts["enriched"] = total.enriched
        counts["identify"] = total.identify
        counts["cpu_us"] = int((time.process_time() - self._cpu) * 1e6)
        for kind, reasons in (("dead_lettered", total.dead_letters), ("dropped", total.dropped)):
            counts.update({f"{kind}.{reason}": number for reason, number in reasons.items()})
        return Figures(counts, lag)
