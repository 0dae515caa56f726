"""Faults of the workers; those of brokers, network and topics are in `faults_kafka.py`.

A fault is injected, lasts for a while and is healed, all in one call. It raises NotFiredError when
it had no effect, so that no run passes for want of faults.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from pipeline.errors import ExitCode
from tests.system.chaos.environment import SESSION_S, TRANSACTION_S, Environment
from tests.system.chaos.failpoints import KILL_POINTS, Action, Failpoint, Point
from tests.system.chaos.service_manager import Slot

_FIRE_S: Final = 30.0
_POLL_S: Final = 0.02
_STORM: Final = 4
_OPEN_S: Final = (4.0, 5.5, 7.0)
"""How long a transaction is kept open while another worker starts: on a busy machine the group may
change too late for its offsets, so that it is tried again. Shorter than TRANSACTION_S."""
_ALL_SHARE: Final = 0.25
_AN_HOUR_S: Final = 3600.0

Fault = Callable[[Environment], None]


class NotFiredError(Exception):
    """The fault had no effect."""


def trigger(env: Environment, failpoint: Failpoint) -> list[Slot]:
    """Arm a failpoint in all workers; returns the slots where it fired, as a rule only one."""
    for slot in env.slots:
        slot.arm(failpoint)
    _wait_until(lambda: any(slot.fired() for slot in env.slots))
    fired = [slot for slot in env.slots if not slot.disarm()]
    if not fired:
        raise NotFiredError(f"no worker reached the point {failpoint.point}")
    return fired


def _wait_until(reached: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _FIRE_S
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def kill_at(env: Environment, point: Point) -> None:
    """Kill a worker at a named point of a transaction."""
    rng = env.rng
    after = rng.uniform(0, 0.01) if point is Point.DURING_COMMIT else 0.0
    trigger(env, Failpoint(point, Action.KILL, rng.randrange(8), after))


def kill_at_random(env: Environment) -> None:
    """Kill a worker at any moment, sometimes all workers at once."""
    rng = env.rng
    slots = env.slots if rng.random() < _ALL_SHARE else [rng.choice(env.slots)]
    time.sleep(rng.uniform(0, 0.2))
    for slot in slots:
        slot.signal(signal.SIGKILL)


def terminate(env: Environment) -> None:
    """Stop a worker in order; it finishes its transaction, exits with 0 and is started again."""
    slot = env.rng.choice(env.slots)
    slot.signal(signal.SIGTERM)


def zombie(env: Environment) -> None:
    """Suspend a worker for longer than its session; it then goes on with its transaction."""
    point = env.rng.choice([Point.AFTER_CONSUME, Point.AFTER_PRODUCE, Point.AFTER_SEND_OFFSETS])
    stopped = trigger(env, Failpoint(point, Action.STOP, env.rng.randrange(5)))
    time.sleep(SESSION_S + env.rng.uniform(1, 2))
    for slot in stopped:
        slot.signal(signal.SIGCONT)


def replaced_zombie(env: Environment) -> None:
    """Suspend a worker, start another with the same name, and resume the first: it exits with 3.

    A static member may be suspended anywhere, and for longer than a transaction may be open, since
    its group tells it that it was replaced. A dynamic one learns that from its open transaction.
    """
    point, seconds = Point.AFTER_PRODUCE, SESSION_S + 2
    if env.scenario.static:
        point = env.rng.choice([Point.AFTER_CONSUME, point, Point.AFTER_COMMIT])
        seconds = env.rng.choice([seconds, TRANSACTION_S + 2])
    stopped = trigger(env, Failpoint(point, Action.STOP, env.rng.randrange(5)))
    zombies = [(slot, process) for slot in stopped for process in slot.alive()]
    for slot, _ in zombies:
        env.workers.add(slot.name)
    time.sleep(seconds)
    for slot, process in zombies:
        process.send_signal(signal.SIGCONT)
        ended = env.wait_for(lambda: process.poll() is not None, f"the zombie's end, {slot.name}")  # noqa: B023  awaited here
        if ended and process.returncode != ExitCode.FENCED:
            env.violations.append(f"a zombie of {slot.name} ended with {process.returncode}")
        if not slot.alive():
            env.violations.append(f"the newer process of {slot.name} ended as well")


def rebalance_storm(env: Environment) -> None:
    """Start and stop additional workers every few seconds."""
    for number in range(_STORM):
        guest = env.workers.add(f"guest{number % 2 + 1}")
        time.sleep(env.rng.uniform(2, 4))
        ending = env.rng.choice([signal.SIGKILL, signal.SIGTERM])
        env.workers.retire(guest, ending)
        env.workers.await_end(guest)


def evicted(env: Environment) -> None:
    """Remove members from the group while they consume: they lose and regain partitions."""
    for _ in range(3):
        trigger(env, Failpoint(Point.AFTER_CONSUME, Action.SLEEP, env.rng.randrange(5), 0.05))
        instances = [each.name for each in env.slots]
        if not env.admin.evict(env.group, instances):
            raise NotFiredError("no member of the group could be removed")
        time.sleep(env.rng.uniform(0.5, 1.5))


def slow_transaction(env: Environment) -> None:
    """Keep a transaction open during a rebalance: its offsets are refused, a soft reset."""
    _refused_offsets(env)


def lost_seek(env: Environment) -> None:
    """Do the same, and skip the seek back to the start of the aborted transaction."""
    for seconds in _OPEN_S:
        slots = _refused_offsets(env, Failpoint(Point.SEEK, Action.SKIP), seconds)
        if [slot.disarm() for slot in slots].count(False):
            return
    raise NotFiredError("no worker called seek")


def _refused_offsets(
    env: Environment, then: Failpoint | None = None, seconds: float = _OPEN_S[0]
) -> list[Slot]:
    failpoint = Failpoint(Point.AFTER_PRODUCE, Action.SLEEP, env.rng.randrange(3), seconds)
    slots = trigger(env, failpoint)
    if then is not None:
        for slot in slots:
            slot.arm(then)
    guest = env.workers.add("guest1")
    time.sleep(seconds + 1)
    env.workers.retire(guest, signal.SIGTERM)
    env.workers.await_end(guest)
    return slots


def clock_stepped(env: Environment) -> None:
    """Let the wall clock of a worker jump by hours, forward or back."""
    step = env.rng.choice([-2, 2]) * _AN_HOUR_S
    trigger(env, Failpoint(Point.AFTER_CONSUME, Action.STEP_CLOCK, env.rng.randrange(5), step))


WORKER_FAULTS: Final[dict[str, Fault]] = {
    **{
        f"kill {point.value.replace('_', ' ')}": partial(kill_at, point=point)
        for point in KILL_POINTS
    },
    "kill at random": kill_at_random,
    "terminate": terminate,
    "zombie": zombie,
    "zombie replaced": replaced_zombie,
    "rebalance storm": rebalance_storm,
    "evicted while consuming": evicted,
    "slow transaction": slow_transaction,
    "seek lost": lost_seek,
    "clock stepped": clock_stepped,
}
