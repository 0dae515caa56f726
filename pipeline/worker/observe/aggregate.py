"""What several workers have counted: one statistics line, and one endpoint for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pipeline.metrics.health import worker_health
from pipeline.metrics.snapshot import (
    WorkerCondition,
    WorkerSnapshot,
    decode_snapshot,
    encode_snapshot,
    total_of,
)
from pipeline.ports import CommittedBatch, Lag
from pipeline.worker.observe.meter import LogMeter
from pipeline.worker.observe.statistics import Figures, StatisticsLog

_LAG_LASTS_S: Final = 10.0
"""A worker that has not completed an iteration for so long is busy with something other than
records."""


class ByteStore(Protocol):
    """A payload that outlives the process which writes it."""

    def write(self, payload: bytes) -> bool:
        """Replace the payload; return whether it fits."""

    def read(self) -> bytes | None:
        """Return the payload; None when it can't be read at the moment."""


class SlotMeter(LogMeter):
    """The meter of one of several workers: the supervisor logs its counts for all of them."""

    def __init__(
        self,
        store: ByteStore,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        instance: str | None = None,
        stuck_after_s: float = float("inf"),
    ) -> None:
        super().__init__(interval_s, clock, instance=instance, stuck_after_s=stuck_after_s)
        self._store = store
        self._publish()

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`. Published at once, since the process may be killed at any moment."""
        super().committed(batch)
        self._publish()

    def statistics(self, lag: Lag | None) -> None:
        """Begin the next interval: the supervisor logs the line."""
        del lag  # the supervisor judges by the snapshot how old it is
        with self._lock:
            self._crashes = 0
            self._statistics.restart()
            self._publish()

    def report(self) -> None:
        """Publish the condition, which changes without a commit too."""
        super().report()
        self._publish()

    def _look(self, lag: Lag | None) -> None:
        super()._look(lag)
        self._publish()

    def _publish(self) -> None:
        with self._lock:
            snapshot = self.snapshot()
            if not self._store.write(encode_snapshot(snapshot)):
                # Thousands of partitions. Without the sums, the worker would seem not to run.
                self._store.write(encode_snapshot(snapshot.summary()))


class AggregateStatistics:
    """One line per interval with the counts of all workers, including those that have exited."""

    def __init__(
        self,
        stores: Sequence[ByteStore],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
        stuck_after_s: float = float("inf"),
    ) -> None:
        self._stuck_after_s = stuck_after_s
        self._line = StatisticsLog(interval_s, clock, first_s)
        self._clock = clock
        self._stores = stores
        self._lock = threading.RLock()
        self._before: list[WorkerSnapshot] = []
        """Counts of the workers that have exited, as one snapshot at most."""
        self._now: list[WorkerSnapshot | None] = [None] * len(stores)

    def began(self) -> bool:
        """Return whether any worker has ever reached Kafka and found the topics in order."""
        return bool(self._before) or any(self.current())

    def current(self) -> list[WorkerSnapshot | None]:
        """Return the snapshot of each worker; None for those that do not run."""
        with self._lock:
            self._read()
            return list(self._now)

    def total(self) -> WorkerSnapshot:
        """Return what all workers have counted since the start; its condition means nothing."""
        with self._lock:
            self._read()
            parts = [*self._before, *(each for each in self._now if each)]
            return total_of(parts, WorkerCondition(self._clock()))

    def stuck(self) -> dict[int, str]:
        """Return the workers that are stuck, each with the reason why it counts as stuck."""
        found = {}
        for slot, snapshot in enumerate(self.current()):
            if snapshot is not None:
                health = worker_health(snapshot.condition, self._clock(), self._stuck_after_s)
                if not health.live:
                    found[slot] = health.reasons[0]
        return found

    def consumed(self) -> int:
        """Return the number of records that all workers have committed since the start."""
        return self._total().counts["consumed"]

    def ended(self, slot: int) -> int:
        """Close the account of an exited worker, and return how many records it had committed."""
        with self._lock:
            self._read()
            snapshot, self._now[slot] = self._now[slot], None
            self._stores[slot].write(b"")
            if snapshot is None:
                return 0
            self._before = [total_of([*self._before, snapshot.left_behind()], snapshot.condition)]
        return Figures.from_counts(snapshot, None).counts["consumed"]

    def tick(self, workers: int) -> None:
        """Log the line of the interval when it is due; `workers` is the number of running ones."""
        if self._line.is_due():
            self.log(workers)

    def log(self, workers: int) -> None:
        """Log the line now."""
        total = self._total()
        reading = [lag for lag in self._lags() if lag is not None and lag.partitions]
        self._line.write(total, workers=workers, workers_reading=len(reading))

    def _total(self) -> Figures:
        snapshot = self.total()
        known = [lag for lag in self._lags() if lag is not None]
        # Part of a sum would look like a lag that has become less.
        is_complete = len(known) == len(self._now)
        total = Lag(sum(lag.partitions for lag in known), sum(lag.offsets for lag in known))
        return Figures.from_counts(snapshot, total if is_complete else None)

    def _lags(self) -> list[Lag | None]:
        """Return each worker's lag; None for those whose lag is not known."""
        oldest = self._clock() - _LAG_LASTS_S
        return [
            each.condition.lag if each and each.condition.moved_at >= oldest else None
            for each in self._now
        ]

    def _read(self) -> None:
        """Read all workers' snapshots. What can't be read at the moment stays as it was."""
        for slot, store in enumerate(self._stores):
            if payload := store.read():
                self._now[slot] = decode_snapshot(payload)
