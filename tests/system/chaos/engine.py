"""One run: start the load and the workers, inject faults, let all heal, check the result."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.errors import ExitCode
from tests.system.chaos.audit_check import CheckResult, check_by_audit, check_by_ledger
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.coverage import Coverage, measure_coverage
from tests.system.chaos.environment import WORKERS, Environment
from tests.system.chaos.faults import WORKER_FAULTS, Fault, NotFiredError
from tests.system.chaos.faults_kafka import KAFKA_FAULTS, ONE_NODE_FAULTS, SOLO
from tests.system.chaos.progress import Goal
from tests.system.chaos.scenario import Scenario
from tests.system.chaos.service_manager import ProcessExit

FAULTS: Final[dict[str, Fault]] = {**WORKER_FAULTS, **KAFKA_FAULTS}
_COMPANION: Final = "a worker killed meanwhile"
_COMPANION_SHARE: Final = 0.3
_KILLED_BASE: Final = 128
_EXPECTED_CODES: Final = frozenset(
    {ExitCode.OK, ExitCode.FENCED, ExitCode.KAFKA, _KILLED_BASE + signal.SIGKILL, -signal.SIGKILL}
)
"""Codes with which a worker may end during faults; 137 is a stop that exceeded its grace period."""
_OFFSETS_DELETED: Final = "has no committed offsets"
"""The one kind of data loss that a fault causes, in the words of the worker that stops over it."""

Log = Callable[[str], None]
"""Takes a line that says what the run is doing."""

_STATIC_ONLY: Final = frozenset({"evicted while consuming"})
_DYNAMIC_ONLY: Final = frozenset({"slow transaction", "seek lost"})
"""Members of an eager group hold up its rebalance, so that their offsets are not refused."""


def faults_for(brokers: int, *, static: bool) -> tuple[str, ...]:
    """All faults that make a difference on so many brokers and can happen to such members."""
    faults = tuple(FAULTS) if brokers > 1 else (*WORKER_FAULTS, *ONE_NODE_FAULTS)
    impossible = _DYNAMIC_ONLY if static else _STATIC_ONLY
    return tuple(fault for fault in faults if fault not in impossible)


@dataclass(slots=True)
class RunResult:
    """The findings of one run."""

    scenario: Scenario
    fired: Counter[str] = field(default_factory=Counter)
    """Number of times that each fault took effect."""
    goals: list[Goal] = field(default_factory=list)
    events: int = 0
    checks: dict[str, CheckResult] = field(default_factory=dict)
    """Results of the independent checks, by name."""
    coverage: Coverage | None = None
    unexpected_exits: list[str] = field(default_factory=list)
    """Workers that ended in a way that no fault accounts for."""
    violations: list[str] = field(default_factory=list)
    """Anything else that is wrong: a worker that hangs, records that changed after being read."""
    notes: list[str] = field(default_factory=list)
    """Explanations that are no fault of the pipeline's."""
    uncovered: list[str] = field(default_factory=list)
    """What the run was to put to the test, but did not."""

    @property
    def detected(self) -> bool:
        """Whether the run proves a bug in the workers, and not merely a slow machine."""
        return bool(self.unexpected_exits) or not all(check.ok for check in self.checks.values())

    @property
    def ok(self) -> bool:
        """Whether no event was lost or duplicated although everything was put to the test."""
        return not (self.detected or self.violations or self.uncovered)

    def failures(self) -> list[str]:
        """Everything that is wrong, one line each."""
        found = [
            f"{name}: {example}"
            for name, check in self.checks.items()
            for example in check.examples
        ]
        return found + self.unexpected_exits + self.violations

    def cover(self, coverage: Coverage) -> None:
        """Take the coverage; what is missing counts if the scenario needs all of it."""
        self.coverage = coverage
        if self.scenario.needs_full_coverage:
            self.uncovered += coverage.missing()


def run(cluster: Cluster, folder: Path, scenario: Scenario, log: Log) -> RunResult:
    """Do one run on a cluster that is up; its files go into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    env = Environment(cluster, folder, scenario)
    result = RunResult(scenario)
    try:
        _start(env, log)
        _inject_all(env, result, log)
        _settle(env, result, log)
        _check(env, result, log)
    finally:
        env.close()
    return result


def _start(env: Environment, log: Log) -> None:
    for name in WORKERS:
        env.workers.add(name)
    env.load.start()
    env.wait_for(lambda: sum(env.progress.committed.values()) > 0, "starting")
    log("the workers have committed their first events")


def _inject_all(env: Environment, result: RunResult, log: Log) -> None:
    scenario, deadline = env.scenario, time.monotonic() + env.scenario.duration_s
    for number, name in enumerate(_schedule(scenario)):
        if number >= len(scenario.faults) and time.monotonic() > deadline:
            return
        _inject(env, result, name, log)
        time.sleep(env.rng.uniform(*scenario.pause_s))


def _schedule(scenario: Scenario) -> Iterator[str]:
    """Yield each fault once in an order that depends on the seed, then again in another."""
    rng = random.Random(f"{scenario.seed} schedule")  # noqa: S311  an order, no secret
    while True:
        yield from rng.sample(scenario.faults, len(scenario.faults))


def _inject(env: Environment, result: RunResult, name: str, log: Log) -> None:
    companion = _companion(env, name)
    log(f"fault: {name}" + (f", and {_COMPANION}" if companion else ""))
    try:
        FAULTS[name](env)
    except NotFiredError as error:
        result.uncovered.append(f"{name}: {error}")
    else:
        result.fired[name] += 1
    if companion is not None:
        companion.join()
        result.fired[_COMPANION] += 1
    env.progress.set_goal(name, env.load.ends())


def _companion(env: Environment, name: str) -> threading.Timer | None:
    """A kill of a worker that now and then accompanies a fault of Kafka."""
    if name not in KAFKA_FAULTS or name in SOLO or env.rng.random() > _COMPANION_SHARE:
        return None
    slot = env.rng.choice(env.slots)
    timer = threading.Timer(env.rng.uniform(0, 4), slot.signal, [signal.SIGKILL])
    timer.start()
    return timer


def _settle(env: Environment, result: RunResult, log: Log) -> None:
    """Wait until the group has committed everything and no transaction is open."""
    env.load.stop()
    result.events = env.load.events
    goal = env.progress.set_goal("the end", env.load.ends())
    log(f"all faults are healed; {env.progress.missing(goal)} records to go")
    timeout_s = env.scenario.timeout_s
    if not env.progress.wait(goal, timeout_s):
        left = env.progress.missing(goal)
        result.violations.append(
            f"{left} records are not committed {timeout_s:.0f} s after the end"
        )
    for slot in env.slots:
        env.workers.retire(slot, signal.SIGTERM)
    for slot in env.slots:
        if not env.workers.await_end(slot):
            result.violations.append(f"{slot.name} does not end after SIGTERM")
    for topic in env.outputs:
        env.wait_for(
            lambda topic=topic: not env.admin.has_open_transactions(topic),  # type: ignore[misc]
            f"ending all transactions of {topic}",
        )
    result.goals = env.progress.goals


def _check(env: Environment, result: RunResult, log: Log) -> None:
    log(f"checking {result.events} events")
    for topic in env.outputs:
        mismatch = env.event_log.mismatch(topic)
        if mismatch is not None:
            result.violations.append(f"a live reader received other records: {mismatch}")
    servers = env.cluster.servers
    result.checks["ledger"] = check_by_ledger(servers, env.names, env.load.ledger)
    result.checks["audit"] = check_by_audit(servers, env.variables)
    result.violations += env.violations
    forgotten = env.cluster.forgotten_markers([env.names.enriched, env.names.raw])
    result.notes += [f"a bug of Kafka's own, which may cost events: {line}" for line in forgotten]
    result.unexpected_exits = _unexpected_exits(env)
    result.cover(measure_coverage(env))


def _unexpected_exits(env: Environment) -> list[str]:
    """Describe workers that ended in a way that no fault accounts for, each way once."""
    return list(dict.fromkeys(filter(None, map(_unexpected_exit, env.workers.exits))))


def _unexpected_exit(exited: ProcessExit) -> str | None:
    slot, code, requested, was_last, message = exited
    if code == ExitCode.FENCED and was_last:
        return f"{slot} stopped as fenced, but no other process had its name: {message}"
    if code == ExitCode.OK and not requested:
        return f"{slot} stopped although nobody asked it to"
    before_its_handler = code == -signal.SIGTERM and requested
    loss_is_due = code == ExitCode.DATA_LOSS and _OFFSETS_DELETED in message
    if code in _EXPECTED_CODES or before_its_handler or loss_is_due:
        return None
    return f"{slot} ended with code {code}: {message}"
