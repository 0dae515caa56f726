"""Values of metrics: the form in which they are counted, passed on and summed."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from pipeline.metrics.catalogue import Metric

Labels = tuple[str, ...]
"""Values of a metric's labels in the order of its definition."""
Samples = Mapping[Metric, Mapping[Labels, float]]
"""Values of counters and gauges."""

_TIMES: Final = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
    10_800,
    86_400,
)
BOUNDS: Final[Mapping[Metric, tuple[float, ...]]] = {
    Metric.LATENCY_SECONDS: _TIMES,
    Metric.COMMIT_SECONDS: _TIMES[:12],
    Metric.TRANSACTION_RECORDS: (1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000),
    Metric.RECORD_BYTES: (250, 500, 1000, 2500, 5000, 10_000, 50_000, 250_000, 1_000_000),
}
"""Upper bounds of the buckets of each histogram, without infinity. A day of latency is a backfill,
and still has a bucket of its own."""
_LARGEST: Final = frozenset({Metric.CLIENT_ROUND_TRIP, Metric.CLIENT_THROTTLE})
"""Gauges of which the largest counts; of all others it is the sum."""


class Histogram(msgspec.Struct, array_like=True):
    """Counts of values by bucket; the last one has no upper bound."""

    buckets: list[int]
    total: float = 0.0
    """Sum of all values."""

    @classmethod
    def empty(cls, metric: Metric) -> Histogram:
        """Return a histogram without values."""
        return cls([0] * (len(BOUNDS[metric]) + 1))

    def observe(self, metric: Metric, values: Collection[float], scale: int = 1) -> None:
        """Add many values at once, in units of which `scale` are one of the metric.

        Sorted values are counted fastest.
        """
        ordered = sorted(values)
        below = 0
        for bucket, bound in enumerate(BOUNDS[metric]):
            reached = bisect_right(ordered, bound * scale, below)
            self.buckets[bucket] += reached - below
            below = reached
        self.buckets[-1] += len(ordered) - below
        self.total += sum(ordered) / scale

    def plus(self, other: Histogram) -> Histogram:
        """Return the sum of both."""
        buckets = [mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)]
        return Histogram(buckets, self.total + other.total)


class Counts:
    """Counters and gauges by metric and labels."""

    def __init__(self, samples: Samples | None = None) -> None:
        self._values: defaultdict[Metric, dict[Labels, float]] = defaultdict(dict)
        for metric, series in (samples or {}).items():
            self._values[metric] = dict(series)

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter."""
        series = self._values[metric]
        series[labels] = series.get(labels, 0.0) + value

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that something else counts."""
        self._values[metric][labels] = value

    def put_largest(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge unless its value is larger already."""
        self.put(metric, max(value, self._values[metric].get(labels, value)), *labels)

    def samples(self) -> dict[Metric, dict[Labels, float]]:
        """Return a copy of all values."""
        return {metric: dict(series) for metric, series in self._values.items()}


def combined(parts: Iterable[Samples]) -> dict[Metric, dict[Labels, float]]:
    """Return the values of several workers as one: sums, or the largest of the slowest."""
    total = Counts()
    for part in parts:
        for metric, series in part.items():
            for labels, value in series.items():
                if metric in _LARGEST:
                    total.put_largest(metric, value, *labels)
                else:
                    total.add(metric, value, *labels)
    return total.samples()


def without_gauges(samples: Samples) -> dict[Metric, dict[Labels, float]]:
    """Return the counters alone: what a worker that has exited leaves behind."""
    return {
        metric: dict(series) for metric, series in samples.items() if metric.value.type == "counter"
    }
