"""Values of metrics: how they are counted, summed and exchanged, and their names."""

from __future__ import annotations

import re
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import BOUNDS, Counts, Histogram, combined, without_gauges
from pipeline.metrics.snapshot import (
    WorkerCondition,
    WorkerSnapshot,
    decode_snapshot,
    encode_snapshot,
    total_of,
)


@pytest.mark.parametrize("metric", Metric)
def test_name_follows_the_rules_of_prometheus(metric: Metric) -> None:
    """Counters end with _total, nothing else does; units are base units."""
    name, kind, meaning, labels = metric.value
    assert re.fullmatch(r"track_pipeline_[a-z_]+", name)
    assert name.endswith("_total") is (kind == "counter")
    assert not re.search(r"_(ms|millis|minutes|kb|percent)(_|$)", name)
    assert meaning.endswith(".")
    assert not set(labels) & {"le", "job", "instance"}


def test_each_metric_has_a_name_of_its_own() -> None:
    """Two members with the same definition would be one and the same."""
    names = [metric.value.name for metric in Metric]
    assert len(set(names)) == len(names) == len(Metric.__members__)


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_buckets_hold_what_single_observations_would(values: list[float]) -> None:
    """A value equal to a bound belongs to its bucket, as Prometheus counts it."""
    metric = Metric.LATENCY_SECONDS
    histogram = Histogram.empty(metric)
    histogram.observe(metric, values)
    expected = [0] * (len(BOUNDS[metric]) + 1)
    for value in values:
        expected[bisect_left(BOUNDS[metric], value)] += 1
    assert histogram.buckets == expected
    assert histogram.total == pytest.approx(sum(values))


def test_workers_are_added_up_but_the_slowest_connection_counts() -> None:
    """A sum of round trips would mean nothing."""
    one, other = Counts(), Counts()
    for counts, value in ((one, 1.0), (other, 3.0)):
        counts.add(Metric.RECORDS_CONSUMED, value)
        counts.put(Metric.CLIENT_ROUND_TRIP, value, "producer")
    both = combined([one.samples(), other.samples()])
    assert both[Metric.RECORDS_CONSUMED] == {(): 4.0}
    assert both[Metric.CLIENT_ROUND_TRIP] == {("producer",): 3.0}
    assert set(without_gauges(both)) == {Metric.RECORDS_CONSUMED}


def test_snapshot_survives_its_way_through_shared_memory() -> None:
    """The supervisor reads what the worker has counted; sums include the histograms."""
    counts, histogram = Counts(), Histogram.empty(Metric.RECORD_BYTES)
    counts.add(Metric.EVENTS_DEAD_LETTERED, 2, "revenue_invalid")
    histogram.observe(Metric.RECORD_BYTES, [100, 600])
    snapshot = WorkerSnapshot.make(
        WorkerCondition(1.0), counts.samples(), {Metric.RECORD_BYTES: histogram}
    )
    read = decode_snapshot(encode_snapshot(snapshot))
    assert read == snapshot
    total = total_of([read, snapshot], WorkerCondition(2.0))
    assert total.value(Metric.EVENTS_DEAD_LETTERED, "revenue_invalid") == 4
    assert sum(total.histograms["RECORD_BYTES"].buckets) == 4
