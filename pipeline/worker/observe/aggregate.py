"""Several workers' figures in one line."""

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
"""A worker that has not told its lag for so long is busy with something else than records."""
_decode_told: Final = msgspec.json.Decoder(tuple[dict[str, int], Lag | None, float]).decode


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
        self._store = store
        self._tell()

    def committed(self, counts: OutcomeCounts) -> None:
        """See `ports.Meter`. Told at once: the process may be killed at any moment."""
        super().committed(counts)
        self._tell()

    def statistics(self, lag: Lag | None) -> None:
        """Tell the supervisor, and begin the next interval."""
        with self._lock:
            self._crashes, self._lag = 0, lag
            self._statistics.restart()
            self._tell()

    def _look(self, lag: Lag | None) -> None:
        super()._look(lag)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            self._store.write(msgspec.json.encode((*self.figures(self._lag), self._looked)))


class FleetStatistics:
    """The figures of several workers, dead ones too, in one line per interval."""

    def __init__(
        self,
        stores: Sequence[Store],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
    ) -> None:
        self._line = StatisticsLog(interval_s, clock, first_s)
        self._clock = clock
        self._stores = stores
        self._before: Counter[str] = Counter()
        """Of the workers that have ended."""
        self._now: list[Figures | None] = [None] * len(stores)
        self._told: list[float] = [0.0] * len(stores)
        """When each has looked for its lag."""

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
        """Of each worker; None of those of which it is not known."""
        oldest = self._clock() - _LAG_LASTS_S
        return [
            figures.lag if figures and told >= oldest else None
            for figures, told in zip(self._now, self._told, strict=True)
        ]

    def _read(self) -> None:
        """What can't be read at this moment stays as it was."""
        for slot, store in enumerate(self._stores):
            if payload := store.read():
                counts, lag, self._told[slot] = _decode_told(payload)
                self._now[slot] = Figures(Counter(counts), lag)
