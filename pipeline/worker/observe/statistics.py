"""The statistics line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.snapshot import WorkerSnapshot
from pipeline.ports import Lag
from pipeline.worker.observe.logs import get_logger

_COUNTED: Final = {
    Metric.RECORDS_CONSUMED: "consumed",
    Metric.EVENTS_ENRICHED: "enriched",
    Metric.EVENTS_FORWARDED: "forwarded",
    Metric.IDENTIFIES: "identify",
    Metric.RECORDS_LOST: "lost",
    Metric.RESETS: "resets",
}
_BY_REASON: Final = {
    Metric.EVENTS_DEAD_LETTERED: "dead_lettered",
    Metric.EVENTS_DROPPED: "dropped",
}


class Figures(NamedTuple):
    """Counts and lag of one worker, or of several, since their start."""

    counts: Counter[str]
    """Counts by name: `consumed`, `enriched`, `forwarded`, `identify`, `lost`, `resets`, `cpu_us`
    (CPU time of the processes), and by reason code `dead_lettered.…` and `dropped.…`."""
    lag: Lag | None
    """Current lag; None while it is not known."""

    @classmethod
    def from_counts(cls, snapshot: WorkerSnapshot, lag: Lag | None) -> Figures:
        """Return the figures in a snapshot of the counts."""
        counts: Counter[str] = Counter()
        for metric, name in _COUNTED.items():
            counts[name] = int(sum(value for _, value in snapshot.counters.get(metric.name, ())))
        counts["cpu_us"] = int(snapshot.value(Metric.CPU_SECONDS) * 1e6)
        for metric, kind in _BY_REASON.items():
            for (reason,), value in snapshot.counters.get(metric.name, ()):
                counts[f"{kind}.{reason}"] = int(value)
        return cls(counts, lag)

    @property
    def events(self) -> int:
        """Number of events whose outcome is known."""
        parts = (self.by_reason("dead_lettered"), self.by_reason("dropped"))
        whole = self.counts["enriched"] + self.counts["forwarded"]
        return whole + sum(part.total() for part in parts)

    def by_reason(self, kind: str) -> Counter[str]:
        """Return the counts by reason code; `kind` is `dead_lettered` or `dropped`."""
        start = f"{kind}."
        found = {name: number for name, number in self.counts.items() if name.startswith(start)}
        return Counter({name.removeprefix(start): number for name, number in found.items()})


class StatisticsLog:
    """Writes one line per interval: what was done since the previous line."""

    def __init__(
        self,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        first_s: float | None = None,
    ) -> None:
        """`first_s` is the length of the first interval, if it is another one."""
        self._log = get_logger("pipeline.worker")
        self._interval_s = interval_s
        self._due_s = interval_s if first_s is None else first_s
        self._clock = clock
        self._since = clock()
        self._last: Counter[str] = Counter()

    def is_due(self) -> bool:
        """Return whether the interval is over."""
        return self._clock() - self._since >= self._due_s

    def write(self, total: Figures, **more: int) -> None:
        """Log the line of the interval and begin the next one."""
        now = self._clock()
        done = Figures(total.counts - self._last, total.lag)
        counts, events = done.counts, done.events
        self._log.info(
            "statistics",
            seconds=round(now - self._since, 1),
            consumed=counts["consumed"],
            enriched=counts["enriched"],
            forwarded=counts["forwarded"],
            identify=counts["identify"],
            dead_lettered=dict(done.by_reason("dead_lettered").most_common()),
            dropped=dict(done.by_reason("dropped").most_common()),
            lag=done.lag.offsets if done.lag and done.lag.partitions else None,
            cpu_us_per_event=round(counts["cpu_us"] / events, 1) if events else None,
            lost=counts["lost"],
            resets=counts["resets"],
            total_consumed=total.counts["consumed"],
            **more,
        )
        self._last = total.counts
        self.restart()

    def restart(self) -> None:
        """Begin the next interval without logging a line."""
        self._since, self._due_s = self._clock(), self._interval_s
