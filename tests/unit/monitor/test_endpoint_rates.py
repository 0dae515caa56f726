"""Rates out of counters, and sums over several endpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Samples
from pipeline.metrics.server import serving
from pipeline.metrics.service import Build, Service, ServiceView
from pipeline.metrics.snapshot import WorkerCondition, WorkerSnapshot
from pipeline.monitor.endpoint_client import EndpointAnswer, EndpointPoll, EndpointProblem
from pipeline.monitor.endpoint_client import EndpointReading as Reading
from pipeline.monitor.endpoint_figures import EndpointMonitor
from pipeline.monitor.endpoint_rates import CounterRates
from tests.unit.monitor.endpoints import READY

CONSUMED = Metric.RECORDS_CONSUMED
DEAD = Metric.EVENTS_DEAD_LETTERED


def _reading(at: float, consumed: float, start: float = 1, **reasons: float) -> Reading:
    values: Samples = {
        **READY,
        Metric.START_TIME: {(): start},
        CONSUMED: {(): consumed},
        DEAD: {(reason,): number for reason, number in reasons.items()},
        Metric.LAG_RECORDS: {("0",): 4, ("1",): 6},
        Metric.LAG_SECONDS: {("0",): 2, ("1",): at},
    }
    return Reading(at, values, {"ready": True})


def _rate(*readings: Reading) -> float | None:
    rates = CounterRates(10)
    for reading in readings:
        rates.add(reading)
    found = rates.per_second()
    return None if found is None else found[CONSUMED][()]


@pytest.mark.parametrize(
    ("readings", "rate"),
    [
        ([_reading(5, 100)], None),
        ([_reading(5, 100), _reading(5, 100)], None),
        ([_reading(5, 100), _reading(7, 160)], 30),
        ([_reading(5, 100), _reading(7, 100)], 0),
        # Restarted: smaller; or already larger again, which the start time tells.
        ([_reading(5, 100), _reading(7, 20, start=6)], 10),
        ([_reading(5, 100), _reading(7, 20)], 10),
        ([_reading(5, 100), _reading(7, 160, start=6)], 80),
        # Averaged over ten seconds, not more.
        ([_reading(0, 0), _reading(2, 20), _reading(4, 80)], 20),
        ([_reading(0, 0), _reading(8, 800), _reading(16, 800)], 0),
    ],
)
def test_rate_is_the_increase_per_second(readings: Sequence[Reading], rate: float | None) -> None:
    """No rate is negative, whatever happens between two readings."""
    assert _rate(*readings) == rate


def test_new_reason_counts_from_zero() -> None:
    """A label that appears has increased from 0."""
    rates = CounterRates()
    rates.add(_reading(0, 0, a=5))
    rates.add(_reading(2, 0, a=5, b=4))
    assert (rates.per_second() or {})[DEAD] == {("a",): 0, ("b",): 2}


class _Scripted(EndpointPoll):
    def __init__(self, *looks: dict[str, EndpointAnswer]) -> None:
        super().__init__([])
        self._looks = iter(looks)

    def read(self) -> dict[str, EndpointAnswer]:
        """Answers of the next look."""
        return next(self._looks)


def test_several_endpoints_are_summed() -> None:
    """Rates and lags in records add up; the lag in seconds is the largest."""
    monitor = EndpointMonitor(
        _Scripted(
            {"a": _reading(0, 0, x=1), "b": _reading(0, 50, x=2, y=1)},
            {"a": _reading(2, 20, x=1), "b": _reading(4, 90, x=6, y=1)},
        )
    )
    first = monitor.look().total
    assert first is not None
    assert (first.rate(CONSUMED), first.phases()) == (None, {})
    total = monitor.look().total
    assert total is not None
    assert total.rate(CONSUMED) == 20
    assert total.reasons() == [("x", 1, 7), ("y", 0, 1)]
    assert (total.value(Metric.LAG_RECORDS), total.lag_seconds) == (20, 4)


def test_unreachable_endpoint_is_shown_and_tried_again() -> None:
    """The others go on meanwhile; rates of the time before are not mixed with those after."""
    gone = EndpointProblem("nothing listens there")
    monitor = EndpointMonitor(
        _Scripted(
            {"a": _reading(0, 0), "b": gone},
            {"a": gone, "b": gone},
            {"a": _reading(4, 40), "b": _reading(4, 0)},
        )
    )
    picture = monitor.look()
    assert [each.health for each in picture.endpoints] == ["ready", "unreachable"]
    assert picture.endpoints[1].sentences == ("nothing listens there",)
    assert (picture.unreachable, picture.total is None) == (1, False)
    assert monitor.look().total is None
    picture = monitor.look()
    rates = [each.figures.rate(CONSUMED) for each in picture.endpoints if each.figures]
    assert rates == [10, None]
    assert picture.total is not None
    assert picture.total.rate(CONSUMED) == 10


@pytest.mark.parametrize(
    ("status", "sentences"),
    [
        ({"ready": False, "workers": [{"worker": None, "reasons": ["it waits"]}]}, ("it waits",)),
        (
            {"workers": [{"worker": 0, "reasons": []}, {"worker": 1, "reasons": ["it waits", ""]}]},
            ("worker 1: it waits",),
        ),
        ({"ready": True, "workers": [{"worker": 0, "reasons": ["old"]}]}, ()),
        ({"workers": 3}, ()),
        ({"workers": [3, {"reasons": 3}, {"reasons": [3]}]}, ()),
        ({}, ()),
    ],
)
def test_reasons_are_told_in_words(status: dict[str, object], sentences: tuple[str, ...]) -> None:
    """What is wrong is taken from the status document, however it is shaped."""
    values: Samples = {
        Metric.READY: {(): 0.0},
        Metric.NOT_READY: {("waiting",): 1.0, ("stuck",): 0.0},
    }
    monitor = EndpointMonitor(_Scripted({"a": Reading(0, values, status)}))
    (endpoint,) = monitor.look().endpoints
    assert (endpoint.health, endpoint.sentences) == ("waiting", sentences)


def test_real_worker_is_understood() -> None:
    """What a worker's endpoint serves is what is read here, health and its reasons included."""
    condition = WorkerCondition(time.monotonic(), "waiting", "the broker is away", partitions=3)
    snapshot = WorkerSnapshot.make(condition, {CONSUMED: {(): 7.0}, DEAD: {("x",): 2.0}}, {})
    build = Build("1", "1;a", "3", "2", "python")
    service = Service(build, lambda: ServiceView(snapshot, [snapshot]), 60)
    with serving("127.0.0.1", 0, service.routes()) as port:
        picture = EndpointMonitor(EndpointPoll([f"http://127.0.0.1:{port}"])).look()
    (endpoint,) = picture.endpoints
    assert (endpoint.health, endpoint.sentences) == ("waiting", ("the broker is away",))
    assert picture.total is not None
    assert picture.total.value(CONSUMED) == 7
    assert picture.total.value(Metric.PARTITIONS_ASSIGNED) == 3
    assert picture.total.reasons() == [("x", None, 2)]


def test_figures_are_json_values() -> None:
    """The document has all figures, and null for what is not known."""
    monitor = EndpointMonitor(_Scripted({"a": _reading(0, 0, x=1), "b": EndpointProblem("gone")}))
    document = monitor.look().to_dict()
    assert document["total"]["per_second"]["records"] is None
    assert document["total"]["dead_letters"] == {"x": {"per_second": None, "total": 1}}
    assert document["total"]["lag_records"] == 10
    assert document["total"]["workers"] == {"running": None, "configured": None}
    assert document["endpoints"][1] == {"url": "b", "health": "unreachable", "reasons": ["gone"]}
