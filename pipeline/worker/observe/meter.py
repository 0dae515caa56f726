"""Counts and logs what a worker does."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from pipeline.core.coordinates import format_ranges
from pipeline.core.counts import OutcomeCounts
from pipeline.core.record import Record
from pipeline.ports import CircuitBreakerTrip, Lag, Session, Stall
from pipeline.worker.observe.logs import get_logger
from pipeline.worker.observe.stalls import StallLog
from pipeline.worker.observe.statistics import Figures, StatisticsLog

_CRASHES_SHOWN: Final = 10
"""Number of tracebacks logged per interval; the count of crashes is always complete."""
_LAG_EVERY_S: Final = 2.0
"""How often the lag is determined; each time may cost the broker one request."""
_LAG_LASTS_S: Final = 10.0
"""How long a lag is valid without a new iteration of the loop."""


class LogMeter:
    """Counts what the worker does, and logs it; see `ports.Meter`.

    The worker's thread counts and another one reports, so shared state is protected by a lock.
    """

    def __init__(
        self,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
    ) -> None:
        """`first_s` is the length of the first interval, if it is another one."""
        self._log = get_logger("pipeline.worker")
        self._statistics = StatisticsLog(interval_s, clock, first_s)
        self._stalls = StallLog(clock)
        self._lock = threading.RLock()
        self._clock = clock
        self._cpu = time.process_time()
        self._total = OutcomeCounts()
        self._counts: Counter[str] = Counter()
        self._crashes = 0
        self._lag: Lag | None = None
        self._looked = clock() - _LAG_EVERY_S
        self._held: frozenset[int] = frozenset()
        self._trip: CircuitBreakerTrip | None = None

    def committed(self, counts: OutcomeCounts) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self._total += counts

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        if self._clock() - self._looked >= _LAG_EVERY_S:
            self._look(session.lag())

    def _look(self, lag: Lag | None) -> None:
        with self._lock:
            self._lag, self._looked = lag, self._clock()

    def report(self) -> None:
        """Log what is due at the end of an interval. Any thread may call this at any time."""
        with self._lock:
            if not self._statistics.is_due():
                return
            fresh = self._clock() - self._looked < _LAG_LASTS_S
            self.statistics(self._lag if fresh else None)
            self._stalls.repeat()
            if self._trip is not None:
                self.tripped(self._trip)

    def waits(self, stall: Stall | None) -> None:
        """Note the current stall, as the monitor found it."""
        with self._lock:
            self._stalls.waits(stall)

    def assigned(self, partitions: Collection[int]) -> None:
        """See `ports.Meter`."""
        now = frozenset(partitions)
        if now == self._held:
            return
        for event, changed in (("revoked", self._held - now), ("assigned", now - self._held)):
            if changed:
                self._log.info(event, partitions=format_ranges(changed), held=len(now))
        self._held = now

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self._counts["resets"] += 1
            self._look(None)  # its partitions may have other owners by now
            self._log.warning("recovering", how=how, cause=str(error), attempt=attempt)
            self._stalls.reset(str(error))

    def recovered(self) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self._stalls.works()

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`.

        The frames are logged but not the message, which may quote the event.
        """
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

    def bisecting(self, records: int, cause: str) -> None:
        """See `ports.Meter`."""
        self._log.warning("bisecting", records=records, cause=cause)

    def lost(self, records: int) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self._counts["lost"] += records

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """See `ports.Meter`.

        Logged again in each interval, since only an operator can resolve it.
        """
        self._trip = trip
        self._log.error("breaker_open", message=trip.sentence(), **trip._asdict())

    def statistics(self, lag: Lag | None) -> None:
        """Log the line of the interval and begin the next one."""
        with self._lock:
            self._crashes = 0
            self._statistics.write(self.figures(lag))

    def figures(self, lag: Lag | None) -> Figures:
        """Return the counts since the start. Call it under the lock."""
        total, counts = self._total, Counter(self._counts)
        counts["consumed"] = total.records
        counts["enriched"] = total.enriched
        counts["identify"] = total.identify
        counts["cpu_us"] = int((time.process_time() - self._cpu) * 1e6)
        for kind, reasons in (("dead_lettered", total.dead_letters), ("dropped", total.dropped)):
            counts.update({f"{kind}.{reason}": number for reason, number in reasons.items()})
        return Figures(counts, lag)
