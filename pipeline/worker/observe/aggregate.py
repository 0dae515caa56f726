"""The counts of several workers, aggregated into one statistics line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from pipeline.core.counts import OutcomeCounts
from pipeline.ports import Lag
from pipeline.worker.observe.meter import LogMeter
from pipeline.worker.observe.statistics import Figures, StatisticsLog

_LAG_LASTS_S: Final = 10.0
"""A worker that has not reported its lag for so long is busy with something other than records."""
_decode_report: Final = msgspec.json.Decoder(tuple[dict[str, int], Lag | None, float]).decode


class ByteStore(Protocol):
    """A payload that outlives the process which writes it."""

    def write(self, payload: bytes) -> None:
        """Replace the payload."""

    def read(self) -> bytes | None:
        """Return the payload; None when it can't be read at the moment."""


class SlotMeter(LogMeter):
    """The meter of one of several workers: the supervisor logs its counts for all of them."""

    def __init__(
        self, store: ByteStore, interval_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(interval_s, clock)
        self._store = store
        self._report()

    def committed(self, counts: OutcomeCounts) -> None:
        """See `ports.Meter`. Reported at once, since the process may be killed at any moment."""
        super().committed(counts)
        self._report()

    def statistics(self, lag: Lag | None) -> None:
        """Report to the supervisor, and begin the next interval."""
        with self._lock:
            self._crashes, self._lag = 0, lag
            self._statistics.restart()
            self._report()

    def _look(self, lag: Lag | None) -> None:
        super()._look(lag)
        self._report()

    def _report(self) -> None:
        with self._lock:
            self._store.write(msgspec.json.encode((*self.figures(self._lag), self._looked)))


class AggregateStatistics:
    """One line per interval with the counts of all workers, including those that have exited."""

    def __init__(
        self,
        stores: Sequence[ByteStore],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
    ) -> None:
        self._line = StatisticsLog(interval_s, clock, first_s)
        self._clock = clock
        self._stores = stores
        self._before: Counter[str] = Counter()
        """Counts of the workers that have exited."""
        self._now: list[Figures | None] = [None] * len(stores)
        self._reported: list[float] = [0.0] * len(stores)
        """When each worker last determined its lag."""

    def began(self) -> bool:
        """Return whether any worker has ever reached Kafka and found the topics in order."""
        self._read()
        return bool(self._before) or any(self._now)

    def consumed(self) -> int:
        """Return the number of records that all workers have committed since the start."""
        return self._total().counts["consumed"]

    def ended(self, slot: int) -> int:
        """Close the account of an exited worker, and return how many records it had committed."""
        self._read()
        figures, self._now[slot] = self._now[slot], None
        self._stores[slot].write(b"")
        if figures is None:
            return 0
        self._before += figures.counts
        return figures.counts["consumed"]

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
        self._read()
        counts = sum((figures.counts for figures in self._now if figures), self._before)
        known = [lag for lag in self._lags() if lag is not None]
        # Part of a sum would look like a lag that has become less.
        is_complete = len(known) == len(self._now)
        total = Lag(sum(lag.partitions for lag in known), sum(lag.offsets for lag in known))
        return Figures(counts, total if is_complete else None)

    def _lags(self) -> list[Lag | None]:
        """Return each worker's lag; None for those whose lag is not known."""
        oldest = self._clock() - _LAG_LASTS_S
        return [
            figures.lag if figures and told >= oldest else None
            for figures, told in zip(self._now, self._reported, strict=True)
        ]

    def _read(self) -> None:
        """Read all workers' counts. What can't be read at the moment stays as it was."""
        for slot, store in enumerate(self._stores):
            if payload := store.read():
                counts, lag, self._reported[slot] = _decode_report(payload)
                self._now[slot] = Figures(Counter(counts), lag)
