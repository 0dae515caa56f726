"""Counts and logs what a worker does."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import Final

from pipeline.core.coordinates import format_ranges
from pipeline.core.record import Record
from pipeline.errors import TransportError
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.health import worker_health
from pipeline.metrics.snapshot import State, WorkerSnapshot
from pipeline.metrics.worker_metrics import WorkerMetrics
from pipeline.ports import (
    CircuitBreakerTrip,
    ClientStatistics,
    CommittedBatch,
    Lag,
    Phase,
    RecordFinder,
    Session,
    Stall,
    Stop,
)
from pipeline.worker.observe.logs import get_logger
from pipeline.worker.observe.stacks import log_stacks
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

    The worker's thread counts and others report, so shared state is protected by a lock.
    """

    def __init__(
        self,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
        *,
        instance: str | None = None,
        stuck_after_s: float = float("inf"),
    ) -> None:
        """`first_s` is the length of the first interval, if it is another one."""
        self._log = get_logger("pipeline.worker")
        self._statistics = StatisticsLog(interval_s, clock, first_s)
        self._stalls = StallLog(clock)
        self._lock = threading.RLock()
        self._clock = clock
        self._stuck_after_s = stuck_after_s
        self.metrics = WorkerMetrics(clock, instance=instance)
        self._crashes = 0
        self._lag: Lag | None = None
        self._looked = clock() - _LAG_EVERY_S
        self._held: frozenset[int] | None = None
        self._recovering = ""
        self._stall: Stall | None = None
        self._trip: CircuitBreakerTrip | None = None
        self._stop: Stop | None = None
        self._was_stuck = False

    def spent(self, phase: Phase, seconds: float) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.spent(phase, seconds)

    def collected(self, records: Sequence[Record]) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.collected(records)

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.committed(batch)

    def aborted(self) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.count(Metric.TRANSACTIONS, 1, "aborted")

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.moved()
        if self._clock() - self._looked >= _LAG_EVERY_S:
            self._look(session.lag())

    def _look(self, lag: Lag | None) -> None:
        with self._lock:
            self._lag, self._looked = lag, self._clock()
            self.metrics.lagging(lag)

    def report(self) -> None:
        """Log what is due. Any thread may call this at any time."""
        with self._lock:
            self._report_if_stuck()
            if not self._statistics.is_due():
                return
            fresh = self._clock() - self._looked < _LAG_LASTS_S
            self.statistics(self._lag if fresh else None)
            self._stalls.repeat()
            if self._trip is not None:
                self.tripped(self._trip)

    def snapshot(self) -> WorkerSnapshot:
        """Return everything that was counted, and the condition. Any thread may call this."""
        with self._lock:
            self.metrics.state(*self._state())
            return self.metrics.snapshot()

    def _state(self) -> tuple[State, str]:
        if self._stop is not None and self._stop.is_set():
            return "stopping", ""
        if self._trip is not None:
            return "breaker_open", self._trip.sentence()
        if self._stall is not None and not self._stall.harmless:
            return "waiting", self._stall.cause
        if self._recovering:
            return "recovering", self._recovering
        if self._stop is None:
            return "starting", ""
        spare = self._stall is not None
        return ("running", "") if self._held or spare else ("no_partitions", "")

    def started(self, clients: ClientStatistics, stop: Stop, retention_ms: int) -> None:
        """Note that the topics are in order; `retention_ms` is the raw topic's, or -1."""
        with self._lock:
            self.metrics.started(clients, retention_ms)
            self.metrics.moved()
            self._stop = stop

    def _report_if_stuck(self) -> None:
        """Log all stacks once when the worker is found to be stuck."""
        condition = self.snapshot().condition
        health = worker_health(condition, self._clock(), self._stuck_after_s)
        if health.live:
            self._was_stuck = False
        elif not self._was_stuck:
            self._was_stuck = True
            log_stacks(health.reasons[0])

    def look_up(self, finder: RecordFinder) -> None:
        """Look up the oldest records that the worker has not read itself. Never raises.

        Called by a thread of its own, since it may take seconds.
        """
        with self._lock:
            positions = self.metrics.to_look_up()
        if not positions:
            return
        try:
            timestamps = finder.timestamps(positions)
        except TransportError:
            return  # the age counts from when the lag was first seen
        with self._lock:
            self.metrics.looked_up(positions, timestamps)

    def waits(self, stall: Stall | None) -> None:
        """Note the current stall, as the monitor found it."""
        with self._lock:
            self._stall = stall
            self._stalls.waits(stall)

    def assigned(self, partitions: Collection[int]) -> None:
        """See `ports.Meter`."""
        now = frozenset(partitions)
        held = self._held or frozenset()
        if self._held is None and now == held:
            return
        with self._lock:
            self._held = now
            if now == held:
                return
            self.metrics.assigned(now)
        for event, changed in (("revoked", held - now), ("assigned", now - held)):
            if changed:
                self._log.info(event, partitions=format_ranges(changed), held=len(now))

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.count(Metric.RESETS, 1, how.removesuffix(" reset"))
            self.metrics.reset()
            self.metrics.moved()
            self._recovering = str(error)
            self._look(None)  # its partitions may have other owners by now
            self._log.warning("recovering", how=how, cause=str(error), attempt=attempt)
            self._stalls.reset(str(error))

    def recovered(self) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self._recovering = ""
            self._stalls.works()

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`.

        The frames are logged but not the message, which may quote the event.
        """
        with self._lock:
            self.metrics.count(Metric.PROCESSING_ERRORS)
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
        with self._lock:
            self.metrics.count(Metric.RECORDS_ISOLATED)
        source = f"{record.topic}/{record.partition}/{record.offset}"
        self._log.error("record_isolated", source=source, cause=cause)

    def bisecting(self, records: int, cause: str) -> None:
        """See `ports.Meter`."""
        self._log.warning("bisecting", records=records, cause=cause)

    def lost(self, records: int) -> None:
        """See `ports.Meter`."""
        with self._lock:
            self.metrics.count(Metric.RECORDS_LOST, records)

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
            self._statistics.write(Figures.from_counts(self.metrics.snapshot(), lag))
