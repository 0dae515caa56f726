"""What one worker has counted and how it is, as a value that processes can exchange."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Histogram, Labels, combined, without_gauges
from pipeline.ports import Lag

State = Literal[
    "starting", "running", "no_partitions", "waiting", "recovering", "breaker_open", "stopping"
]
"""What a worker is doing, as far as it knows; whether it is stuck is judged by others."""


class WorkerCondition(msgspec.Struct):
    """How a worker is at a moment.

    Times are those of `time.monotonic`, which all processes of a machine share.
    """

    written_at: float
    """When this was written."""
    state: State = "starting"
    cause: str = ""
    """One sentence that explains the state; empty while it is `running`."""
    pid: int = 0
    instance: str | None = None
    moved_at: float = 0.0
    """When the loop last completed an iteration or a commit."""
    owes_since: float | None = None
    """Since when records have been waiting without a commit; None when none wait."""
    partitions: int = 0
    lag: Lag | None = None
    """None while it is not known."""
    ages: dict[int, float] = {}
    """Age of the oldest record that is not committed, by partition, seconds."""
    retention_s: float | None = None
    """`retention.ms` of the raw topic in seconds; None when it is unlimited or not known."""
    committed_at: float | None = None
    """Wall-clock time of the last commit, epoch seconds."""


class WorkerSnapshot(msgspec.Struct):
    """Everything that one worker has counted since its start, and its condition."""

    condition: WorkerCondition
    counters: dict[str, list[tuple[list[str], float]]] = {}
    """Metric → label values and value; see `samples`."""
    histograms: dict[str, Histogram] = {}

    @classmethod
    def make(
        cls,
        condition: WorkerCondition,
        counters: dict[Metric, dict[Labels, float]],
        histograms: dict[Metric, Histogram],
    ) -> WorkerSnapshot:
        """Make a snapshot; nothing in it changes when counting goes on."""
        return cls(
            condition,
            {
                metric.name: [(list(labels), value) for labels, value in series.items()]
                for metric, series in counters.items()
            },
            {
                metric.name: Histogram(list(each.buckets), each.total)
                for metric, each in histograms.items()
            },
        )

    def left_behind(self) -> WorkerSnapshot:
        """Return what still counts when the worker has exited: no gauges."""
        counters = without_gauges(self.samples())
        histograms = {Metric[name]: each for name, each in self.histograms.items()}
        return WorkerSnapshot.make(self.condition, counters, histograms)

    def summary(self) -> WorkerSnapshot:
        """Return what counts most, in little room: of all partitions, only the oldest one's age."""
        lag, ages = self.condition.lag, self.condition.ages
        oldest = max(ages, key=ages.__getitem__, default=None)
        condition = msgspec.structs.replace(
            self.condition,
            lag=None if lag is None else Lag(lag.partitions, lag.offsets),
            ages={} if oldest is None else {oldest: ages[oldest]},
        )
        return msgspec.structs.replace(self, condition=condition)

    def samples(self) -> dict[Metric, dict[Labels, float]]:
        """Return the counters."""
        return {
            Metric[name]: {tuple(labels): value for labels, value in series}
            for name, series in self.counters.items()
        }

    def value(self, metric: Metric, *labels: str) -> float:
        """Return one counter; 0 when nothing was counted."""
        return dict(self.samples().get(metric, {})).get(labels, 0.0)


encode_snapshot: Final = msgspec.msgpack.Encoder().encode
decode_snapshot: Final = msgspec.msgpack.Decoder(WorkerSnapshot).decode


def total_of(snapshots: Iterable[WorkerSnapshot], condition: WorkerCondition) -> WorkerSnapshot:
    """Return the sums of what several workers have counted."""
    parts = list(snapshots)
    histograms: dict[Metric, Histogram] = {}
    for part in parts:
        for name, each in part.histograms.items():
            metric = Metric[name]
            before = histograms.get(metric)
            histograms[metric] = each if before is None else before.plus(each)
    return WorkerSnapshot.make(condition, combined(part.samples() for part in parts), histograms)
