"""One run: load, workers, faults by a seed, then healing, and the verdict."""

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
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.evidence import Evidence, gather
from tests.system.chaos.faults import WORKER_FAULTS, Fault, NotFiredError
from tests.system.chaos.faults_kafka import KAFKA_FAULTS, ONE_NODE_FAULTS, SOLO
from tests.system.chaos.fleet import Ended
from tests.system.chaos.judge import Verdict, judge_by_audit, judge_by_ledger
from tests.system.chaos.progress import Goal
from tests.system.chaos.world import WORKERS, Plan, World

FAULTS: Final[dict[str, Fault]] = {**WORKER_FAULTS, **KAFKA_FAULTS}
_COMPANION: Final = "a worker killed meanwhile"
_COMPANION_SHARE: Final = 0.3
_KILLED_BASE: Final = 128
_FINE: Final = frozenset(
    {ExitCode.OK, ExitCode.FENCED, ExitCode.KAFKA, _KILLED_BASE + signal.SIGKILL, -signal.SIGKILL}
)
"""How a worker may end while its world breaks; 137 is a stop that took longer than its grace."""
_OFFSETS_DELETED: Final = "has no committed offsets"
"""The one loss that a fault causes, in the words of the worker that stops over it."""

Tell = Callable[[str], None]


_STATIC_ONLY: Final = frozenset({"evicted while collecting"})
_DYNAMIC_ONLY: Final = frozenset({"slow transaction", "seek lost"})
"""Members of an eager group hold up its rebalance, so that their offsets are not refused."""


def faults_for(brokers: int, *, static: bool) -> tuple[str, ...]:
    """All faults that differ on so many brokers and can happen to such members."""
    faults = tuple(FAULTS) if brokers > 1 else (*WORKER_FAULTS, *ONE_NODE_FAULTS)
    impossible = _DYNAMIC_ONLY if static else _STATIC_ONLY
    return tuple(fault for fault in faults if fault not in impossible)


@dataclass(slots=True)
class Result:
    """What one run found."""

    plan: Plan
    fired: Counter[str] = field(default_factory=Counter)
    """By fault."""
    goals: list[Goal] = field(default_factory=list)
    events: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By judge."""
    evidence: Evidence | None = None
    bad_ends: list[str] = field(default_factory=list)
    """Workers that ended as no fault accounts for."""
    complaints: list[str] = field(default_factory=list)
    """Everything else that is wrong: hanging, another sequence for another reader."""
    notes: list[str] = field(default_factory=list)
    """What explains a verdict, and is no fault of the pipeline's."""
    vacuous: list[str] = field(default_factory=list)
    """This run proves nothing, since it was too tame."""

    @property
    def caught(self) -> bool:
        """Whether a judge found a fault in the build, not merely a slow machine."""
        return bool(self.bad_ends) or not all(judged.ok for judged in self.verdicts.values())

    @property
    def ok(self) -> bool:
        """Whether the promise was kept, and was put to the test."""
        return not (self.caught or self.complaints or self.vacuous)

    def wrong(self) -> list[str]:
        """Everything that is wrong, a line each."""
        found = [
            f"{judge}: {example}"
            for judge, verdict in self.verdicts.items()
            for example in verdict.examples
        ]
        return found + self.bad_ends + self.complaints


def run(cluster: Cluster, folder: Path, plan: Plan, tell: Tell) -> Result:
    """One run on a cluster that is up; files go into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(cluster, folder, plan)
    result = Result(plan)
    try:
        _start(world, tell)
        _inject_all(world, result, tell)
        _settle(world, result, tell)
        _judge(world, result, tell)
    finally:
        world.close()
    return result


def _start(world: World, tell: Tell) -> None:
    for name in WORKERS:
        world.fleet.add(name)
    world.load.start()
    world.wait_for(lambda: sum(world.progress.committed.values()) > 0, "starting")
    tell("the workers are at work")


def _inject_all(world: World, result: Result, tell: Tell) -> None:
    plan, deadline = world.plan, time.monotonic() + world.plan.duration_s
    for number, name in enumerate(_schedule(plan)):
        if number >= len(plan.faults) and time.monotonic() > deadline:
            return
        _inject(world, result, name, tell)
        time.sleep(world.dice.uniform(*plan.pause_s))


def _schedule(plan: Plan) -> Iterator[str]:
    """Each fault once in an order of the seed's, then again in another, without end."""
    dice = random.Random(f"{plan.seed} schedule")  # noqa: S311  an order, no secret
    while True:
        yield from dice.sample(plan.faults, len(plan.faults))


def _inject(world: World, result: Result, name: str, tell: Tell) -> None:
    companion = _companion(world, name)
    tell(f"fault: {name}" + (f", and {_COMPANION}" if companion else ""))
    try:
        FAULTS[name](world)
    except NotFiredError as error:
        result.vacuous.append(f"{name}: {error}")
    else:
        result.fired[name] += 1
    if companion is not None:
        companion.join()
        result.fired[_COMPANION] += 1
    world.progress.set_goal(name, world.load.ends())


def _companion(world: World, name: str) -> threading.Timer | None:
    """Now and then a worker is killed while something is wrong with Kafka."""
    if name not in KAFKA_FAULTS or name in SOLO or world.dice.random() > _COMPANION_SHARE:
        return None
    slot = world.dice.choice(world.slots)
    timer = threading.Timer(world.dice.uniform(0, 4), slot.signal, [signal.SIGKILL])
    timer.start()
    return timer


def _settle(world: World, result: Result, tell: Tell) -> None:
    """Everything heals; then the group must get to the end, and nothing may stay open."""
    world.load.stop()
    result.events = world.load.events
    goal = world.progress.set_goal("the end", world.load.ends())
    tell(f"all faults are healed; {world.progress.missing(goal)} records to go")
    patience_s = world.plan.patience_s
    if not world.progress.wait(goal, patience_s):
        left = world.progress.missing(goal)
        result.complaints.append(
            f"{left} records are not committed {patience_s:.0f} s after the end"
        )
    for slot in world.slots:
        world.fleet.retire(slot, signal.SIGTERM)
    for slot in world.slots:
        if not world.fleet.await_end(slot):
            result.complaints.append(f"{slot.name} does not end after SIGTERM")
    for topic in world.outputs:
        world.wait_for(
            lambda topic=topic: not world.operator.has_open_transactions(topic),  # type: ignore[misc]
            f"ending all transactions of {topic}",
        )
    result.goals = world.progress.goals


def _judge(world: World, result: Result, tell: Tell) -> None:
    tell(f"judging {result.events} events")
    for topic in world.outputs:
        difference = world.witness.disagreement(topic)
        if difference is not None:
            result.complaints.append(
                f"a reader saw another sequence during the chaos: {difference}"
            )
    servers = world.cluster.servers
    result.verdicts["ledger"] = judge_by_ledger(servers, world.names, world.load.ledger)
    result.verdicts["audit"] = judge_by_audit(servers, world.variables)
    result.complaints += world.complaints
    forgotten = world.cluster.forgotten_markers([world.names.enriched, world.names.raw])
    result.notes += [f"a bug of Kafka's own, which may cost events: {line}" for line in forgotten]
    result.bad_ends = _bad_ends(world)
    result.evidence = gather(world)
    if world.plan.is_whole:
        result.vacuous += result.evidence.missing()


def _bad_ends(world: World) -> list[str]:
    """Workers that ended in a way that no fault accounts for, each way once."""
    return list(dict.fromkeys(filter(None, map(_bad_end, world.fleet.ended))))


def _bad_end(ended: Ended) -> str | None:
    slot, code, asked, alone, words = ended
    if code == ExitCode.FENCED and alone:
        return f"{slot} stopped as fenced, but no other process had its name: {words}"
    if code == ExitCode.OK and not asked:
        return f"{slot} stopped although nobody asked it to"
    told_too_early = code == -signal.SIGTERM and asked  # before it listened
    loss_is_due = code == ExitCode.DATA_LOSS and _OFFSETS_DELETED in words
    if code in _FINE or told_too_early or loss_is_due:
        return None
    return f"{slot} ended with code {code}: {words}"
