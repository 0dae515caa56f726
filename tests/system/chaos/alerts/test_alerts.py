"""The parts of `make chaos ARGS=--alerts` that need no broker: compression, cases, conclusion."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.system.chaos.alerts.alert_key import AlertKey, alerts_in, shipped_rules, waits_of
from tests.system.chaos.alerts.cases import CASES, PAGE, TICKET
from tests.system.chaos.alerts.compression import (
    FACTOR,
    LEAST_INTERVAL_MS,
    compressed,
    milliseconds,
)
from tests.system.chaos.alerts.prometheus import AlertHistory
from tests.system.chaos.alerts.report import alerts_conclusion
from tests.system.chaos.alerts.run import AlertOutcome, AlertsResult

_NUMBER: Final = re.compile(r"(?<![\w:.])\d[\w.]*")
"""A number or a duration of an expression; not the end of a recorded name, such as rate5m."""
_DURATION: Final = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_SHORTEST_THRESHOLD: Final = 120
"""No count or share in the rules is as large, and no threshold in seconds is shorter."""
_PATIENCE_S: Final = 30.0
_TIMES: Final = ("for", "keep_firing_for", "interval", "expr")

KEY: Final = AlertKey("TrackPipelineLag", PAGE)
FIRED: Final = AlertOutcome(KEY, "all workers are stopped", 1200.0, fired_s=21.0, ended_s=2.0)


def _rules(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in content["groups"]:
        yield from group["rules"]


def _pairs() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each shipped rule, and what it becomes."""
    shipped = shipped_rules()
    return list(zip(_rules(shipped), _rules(compressed(shipped, FACTOR)), strict=True))


def test_nothing_but_times_is_compressed() -> None:
    """Series, operators, shares, counts, labels and text of each rule stay as shipped."""
    for shipped, made in _pairs():
        assert shipped.keys() == made.keys()
        for name in shipped.keys() - set(_TIMES):
            assert made[name] == shipped[name]
        assert _NUMBER.sub("#", made["expr"]) == _NUMBER.sub("#", shipped["expr"])
        numbers = zip(*(_NUMBER.findall(rule["expr"]) for rule in (shipped, made)), strict=True)
        for before, after in numbers:
            if not _is_time(before):
                assert after == before


def test_every_time_is_divided_by_the_factor() -> None:
    """Ranges, offsets, waits and thresholds in seconds all shrink alike."""
    for shipped, made in _pairs():
        for name in ("for", "keep_firing_for"):
            if name in shipped:
                assert milliseconds(made[name]) * FACTOR == milliseconds(shipped[name])
        numbers = zip(*(_NUMBER.findall(rule["expr"]) for rule in (shipped, made)), strict=True)
        for before, after in numbers:
            if _is_time(before):
                assert _length(after) * FACTOR == _length(before), shipped["expr"]


def _is_time(number: str) -> bool:
    if _DURATION.fullmatch(number):
        return True
    return number.isdecimal() and int(number) >= _SHORTEST_THRESHOLD


def _length(number: str) -> float:
    return milliseconds(number) if _DURATION.fullmatch(number) else float(number)


def test_rules_are_evaluated_as_often_as_they_are_scraped() -> None:
    """No group is evaluated more often than there is something new to see."""
    groups = compressed(shipped_rules(), FACTOR)["groups"]
    assert {milliseconds(group["interval"]) for group in groups} == {LEAST_INTERVAL_MS}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(a_total[1h30m]) > 300", "rate(a_total[90000ms]) > 300"),
        ("max by (job) (a:lag_seconds:max) > 900", "max by (job) (a:lag_seconds:max) > 15"),
        ("a_seconds < 129600 and a_seconds < b", "a_seconds < 2160 and a_seconds < b"),
        ("a unless a offset 1h", "a unless a offset 60000ms"),
        ("deriv(a_seconds[10m]) > 0.9 < 1.1", "deriv(a_seconds[10000ms]) > 0.9 < 1.1"),
        ("changes(start_time_seconds[6h]) > 4", "changes(start_time_seconds[360000ms]) > 4"),
        ("job:ratio:rate5m > 0.2", "job:ratio:rate5m > 0.2"),
    ],
)
def test_an_expression_is_compressed(expression: str, expected: str) -> None:
    """Ranges, offsets and thresholds of series in seconds shrink, and nothing that looks alike."""
    rules = {"groups": [{"interval": "1m", "rules": [{"record": "r", "expr": expression}]}]}
    (rule,) = _rules(compressed(rules, 60))
    assert rule["expr"] == expected


def test_each_alert_has_its_fault() -> None:
    """The cases cover exactly the alerts of rules.yml, each of them once."""
    covered = [key for case in CASES for key in case.holds_after_s]
    assert sorted(covered) == sorted(alerts_in(shipped_rules()))


def test_each_case_has_a_name_of_its_own() -> None:
    """Labels of cases are parts of the names of topics, groups and jobs."""
    labels = [case.label for case in CASES]
    assert len(set(labels)) == len(labels)


def test_a_fault_of_all_pipelines_comes_last() -> None:
    """No other case runs while the broker is down, and none has to start afterwards."""
    assert [case.stops_everything for case in CASES] == [False] * (len(CASES) - 1) + [True]


def test_an_alert_waits_as_its_rule_says() -> None:
    """The two windows of an alert are told apart; without `for` an alert does not wait."""
    waits = waits_of(shipped_rules())
    assert waits[KEY] == 300
    assert waits[AlertKey("TrackPipelineLag", TICKET)] == 1800
    assert waits[AlertKey("TrackPipelineRecordsLost", PAGE)] == 0


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (FIRED, None),
        (FIRED._replace(fired_s=None, ended_s=None), "did not fire"),
        (FIRED._replace(fired_s=-0.5), "fired before its fault"),
        (FIRED._replace(ended_s=None), "still fires although the fault is healed"),
    ],
)
def test_an_alert_that_does_not_do_as_it_must_is_named(
    outcome: AlertOutcome, problem: str | None
) -> None:
    """The run fails with the alert's name and its fault, unless it fired and ended in time."""
    result = AlertsResult("2.42.0", [FIRED, outcome])
    if problem is None:
        assert alerts_conclusion(result).startswith("PASSED: each of 2 alerts")
        return
    assert alerts_conclusion(result).startswith("FAILED: 1 of 2 alerts")
    expected = f"TrackPipelineLag (page) {problem}: all workers are stopped"
    assert result.problems() == [expected]


class _ScriptedAlerts:
    """Stands for a Prometheus whose alerts a test sets; None is no answer."""

    def __init__(self) -> None:
        self.now: set[tuple[str, AlertKey]] | None = set()

    def firing(self) -> set[tuple[str, AlertKey]]:
        if self.now is None:
            raise ConnectionResetError
        return self.now


def test_the_history_tells_when_an_alert_began_and_ended() -> None:
    """An alert is one of its job, and a Prometheus that does not answer ends none."""
    alerts = _ScriptedAlerts()
    with AlertHistory(alerts) as history:
        began = time.monotonic()
        alerts.now = {("orders", KEY)}
        assert history.wait_until_fired("orders", {KEY}, _PATIENCE_S)
        fired_at = history.fired_at("orders", KEY)
        assert fired_at is not None
        assert fired_at >= began
        assert history.fired_at("payments", KEY) is None
        alerts.now = None
        assert history.wait_until_ended("orders", KEY, began, 0) is None
        alerts.now = set()
        ended_at = history.wait_until_ended("orders", KEY, began, _PATIENCE_S)
        assert ended_at is not None
        assert ended_at >= fired_at
