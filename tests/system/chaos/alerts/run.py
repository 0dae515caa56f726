"""One run: each case in a pipeline of its own, one fault after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.system.chaos.alerts.alert_key import AlertKey, waits_of
from tests.system.chaos.alerts.cases import AlertCase
from tests.system.chaos.alerts.compression import FACTOR, compressed
from tests.system.chaos.alerts.pipeline import WatchedPipeline
from tests.system.chaos.alerts.prometheus import AlertHistory, AlertingPrometheus
from tests.system.chaos.cluster import Cluster

_PATIENCE_S: Final = 90.0
"""How much longer than expected an alert may take: processes start slowly on a busy machine."""
_LONGEST_WINDOW_S: Final = 6 * 3600 / FACTOR
"""An alert about the last six hours ends no sooner."""


class AlertOutcome(NamedTuple):
    """What became of one alert of a case."""

    key: AlertKey
    fault: str
    expected_s: float
    """Time of the rules from the fault until it must fire, at the earliest."""
    fired_s: float | None = None
    """Seconds of the run from the fault until it fired; negative: before the fault."""
    ended_s: float | None = None
    """Seconds of the run from the end of the fault until it no longer fired."""

    def problem(self) -> str | None:
        """What is wrong with it, in a sentence; None when it fired and ended."""
        if self.fired_s is None:
            return f"{self.key} did not fire: {self.fault}"
        if self.fired_s < 0:
            return f"{self.key} fired before its fault: {self.fault}"
        if self.ended_s is None:
            return f"{self.key} still fires although the fault is healed: {self.fault}"
        return None


@dataclass(slots=True)
class AlertsResult:
    """The findings of one run."""

    prometheus: str
    """Version of Prometheus."""
    outcomes: list[AlertOutcome] = field(default_factory=list)

    def problems(self) -> list[str]:
        """One sentence for each alert that did not fire as it must."""
        return [problem for each in self.outcomes if (problem := each.problem()) is not None]


@dataclass(slots=True)
class _CaseFiring:
    """See `faults.Firing`."""

    history: AlertHistory
    job: str
    keys: set[AlertKey]
    limit_s: float
    deadline: float = 0.0

    def wait(self, seconds: float | None = None) -> bool:
        """See `faults.Firing`; after the time limit, True as well: no fault lasts for ever."""
        left = max(0.0, self.deadline - time.monotonic())
        wanted = left if seconds is None else min(left, seconds)
        return self.history.wait_until_fired(self.job, self.keys, wanted) or wanted >= left


class _Running(NamedTuple):
    """A case whose fault is healed."""

    case: AlertCase
    pipeline: WatchedPipeline
    job: str
    injected_at: float
    healed_at: float


class AlertRun:
    """Runs cases one after the other; their alerts end while later cases run."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        rules: dict[str, Any],
        log: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._waits = waits_of(rules)
        self._log = log
        self._prometheus = AlertingPrometheus(folder / "prometheus", compressed(rules, FACTOR))
        self._history = AlertHistory(self._prometheus)

    def run(self, cases: Sequence[AlertCase]) -> AlertsResult:
        """Run these cases; PrometheusError when Prometheus does not start."""
        with ExitStack() as stack:
            stack.enter_context(self._prometheus)
            result = AlertsResult(self._prometheus.version())
            stack.enter_context(self._history)
            running: list[_Running] = []
            for case in cases:
                if case.stops_everything:
                    result.outcomes += self._ended(running)
                    running = []
                running.append(self._run_case(case, stack))
            result.outcomes += self._ended(running)
        return result

    def _run_case(self, case: AlertCase, stack: ExitStack) -> _Running:
        pipeline = WatchedPipeline(
            self._cluster, self._prometheus, self._folder / case.label, case.label, case.settings
        )
        stack.callback(pipeline.close)
        pipeline.traffic.only_invalid = case.invalid_first
        if case.healthy_first:
            pipeline.start()
            pipeline.await_healthy()
            time.sleep(case.usual_s)
        job = pipeline.job if case.healthy_first else ""
        limit_s = max(self._expected_s(case, key) for key in case.alerts) / FACTOR + _PATIENCE_S
        firing = _CaseFiring(self._history, job, case.alerts, limit_s)
        self._log(f"fault: {case.description}")
        injected_at = time.monotonic()
        firing.deadline = injected_at + limit_s
        case.inject(pipeline, firing)
        self._log_fired(case, job, injected_at)
        return _Running(case, pipeline, job, injected_at, time.monotonic())

    def _expected_s(self, case: AlertCase, key: AlertKey) -> float:
        return case.holds_after_s[key] + self._waits[key]

    def _log_fired(self, case: AlertCase, job: str, injected_at: float) -> None:
        for key in case.holds_after_s:
            at = self._history.fired_at(job, key)
            text = "did not fire" if at is None else f"fired after {at - injected_at:.1f} s"
            self._log(f"  {key} {text}")

    def _ended(self, running: Sequence[_Running]) -> list[AlertOutcome]:
        """Wait until the alerts of these cases have ended, and close their pipelines."""
        outcomes = [self._outcome(each, key) for each in running for key in each.case.holds_after_s]
        for each in running:
            each.pipeline.close()
        return outcomes

    def _outcome(self, each: _Running, key: AlertKey) -> AlertOutcome:
        outcome = AlertOutcome(key, each.case.description, self._expected_s(each.case, key))
        fired_at = self._history.fired_at(each.job, key)
        if fired_at is None:
            return outcome
        outcome = outcome._replace(fired_s=fired_at - each.injected_at)
        left_s = each.healed_at + _LONGEST_WINDOW_S + _PATIENCE_S - time.monotonic()
        ended_at = self._history.wait_until_ended(
            each.job, key, each.healed_at, max(_PATIENCE_S, left_s)
        )
        if ended_at is None:
            return outcome
        return outcome._replace(ended_s=ended_at - each.healed_at)
