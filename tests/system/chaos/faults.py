"""Everything that is done to the pipeline. A fault injects, holds and heals.

Each raises NotFiredError when it did not come about, so that no run can pass for want of faults.
Faults of workers are here, those of brokers and of the network in `faults_kafka.py`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from pipeline.errors import ExitCode
from tests.system.chaos.fleet import Slot
from tests.system.chaos.orders import KILL_POINTS, Act, Order, Point
from tests.system.chaos.world import SESSION_S, TRANSACTION_S, World

_OBEY_S: Final = 30.0
_POLL_S: Final = 0.02
_STORM: Final = 4
_TRIES: Final = 3
_ALL_SHARE: Final = 0.25
_AN_HOUR_S: Final = 3600.0

Fault = Callable[[World], None]


class NotFiredError(Exception):
    """The fault did not come about."""


def order_somebody(world: World, order: Order) -> list[Slot]:
    """Give an order to all workers; those that carried it out, as a rule the first one to come."""
    for slot in world.slots:
        slot.order(order)
    _wait_until(lambda: any(slot.obeyed() for slot in world.slots))
    obeyed = [slot for slot in world.slots if not slot.take_back()]
    if not obeyed:
        raise NotFiredError(f"no worker came to the point {order.point}")
    return obeyed


def _wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _OBEY_S
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def kill_at(world: World, point: Point) -> None:
    """SIGKILL at a named point of a transaction."""
    dice = world.dice
    after = dice.uniform(0, 0.01) if point is Point.DURING_COMMIT else 0.0
    order_somebody(world, Order(point, Act.KILL, dice.randrange(8), after))


def kill_at_random(world: World) -> None:
    """SIGKILL at any moment; sometimes all workers at once."""
    dice = world.dice
    slots = world.slots if dice.random() < _ALL_SHARE else [dice.choice(world.slots)]
    time.sleep(dice.uniform(0, 0.2))
    for slot in slots:
        slot.signal(signal.SIGKILL)


def terminate(world: World) -> None:
    """SIGTERM: the worker finishes its transaction and ends with 0, then it is started again."""
    slot = world.dice.choice(world.slots)
    slot.signal(signal.SIGTERM)


def zombie(world: World) -> None:
    """SIGSTOP inside a transaction, longer than the session; then it goes on as if nothing were."""
    point = world.dice.choice([Point.COLLECTING, Point.AFTER_PRODUCE, Point.AFTER_SEND_OFFSETS])
    stopped = order_somebody(world, Order(point, Act.STOP, world.dice.randrange(5)))
    time.sleep(SESSION_S + world.dice.uniform(1, 2))
    for slot in stopped:
        slot.signal(signal.SIGCONT)


def replaced_zombie(world: World) -> None:
    """A stopped worker is replaced by another of the same name, and then wakes up: exit 3.

    A static one may be stopped anywhere, and longer than a transaction may be open: its group tells
    it that it was replaced. Any other learns that by its open transaction alone.
    """
    point, seconds = Point.AFTER_PRODUCE, SESSION_S + 2
    if world.plan.static:
        point = world.dice.choice([Point.COLLECTING, point, Point.AFTER_COMMIT])
        seconds = world.dice.choice([seconds, TRANSACTION_S + 2])
    stopped = order_somebody(world, Order(point, Act.STOP, world.dice.randrange(5)))
    zombies = [(slot, process) for slot in stopped for process in slot.alive()]
    for slot, _ in zombies:
        world.fleet.add(slot.name)
    time.sleep(seconds)
    for slot, process in zombies:
        process.send_signal(signal.SIGCONT)
        ended = world.wait_for(lambda: process.poll() is not None, f"the zombie's end, {slot.name}")  # noqa: B023  awaited here
        if ended and process.returncode != ExitCode.FENCED:
            world.complaints.append(f"a zombie of {slot.name} ended with {process.returncode}")
        if not slot.alive():
            world.complaints.append(f"the newer process of {slot.name} ended, too")


def rebalance_storm(world: World) -> None:
    """Workers come and go every few seconds."""
    for number in range(_STORM):
        guest = world.fleet.add(f"guest{number % 2 + 1}")
        time.sleep(world.dice.uniform(2, 4))
        ending = world.dice.choice([signal.SIGKILL, signal.SIGTERM])
        world.fleet.retire(guest, ending)
        world.fleet.await_end(guest)


def evicted(world: World) -> None:
    """Members are removed from the group while they collect: partitions lost and regained."""
    for _ in range(3):
        order_somebody(world, Order(Point.COLLECTING, Act.SLEEP, world.dice.randrange(5), 0.05))
        instances = [each.name for each in world.slots]
        if not world.operator.evict(world.group, instances):
            raise NotFiredError("no member of the group could be removed")
        time.sleep(world.dice.uniform(0.5, 1.5))


def slow_transaction(world: World) -> None:
    """A transaction stays open while the group changes: its offsets are refused, a soft reset."""
    _refused_offsets(world)


def lost_seek(world: World) -> None:
    """The same, and the seek back to the start of the lost transaction does nothing."""
    for _ in range(_TRIES):  # on a busy machine the group may change too late for the offsets
        slots = _refused_offsets(world, Order(Point.SEEK, Act.SKIP))
        if [slot.take_back() for slot in slots].count(False):
            return
    raise NotFiredError("nobody had anything to seek")


def _refused_offsets(world: World, then: Order | None = None) -> list[Slot]:
    order = Order(Point.AFTER_PRODUCE, Act.SLEEP, world.dice.randrange(3), 4.0)
    slots = order_somebody(world, order)
    if then is not None:
        for slot in slots:
            slot.order(then)
    guest = world.fleet.add("guest1")
    time.sleep(5)
    world.fleet.retire(guest, signal.SIGTERM)
    world.fleet.await_end(guest)
    return slots


def clock_stepped(world: World) -> None:
    """The wall clock of a worker jumps by hours, forward or back."""
    step = world.dice.choice([-2, 2]) * _AN_HOUR_S
    order_somebody(world, Order(Point.COLLECTING, Act.STEP_CLOCK, world.dice.randrange(5), step))


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
    "evicted while collecting": evicted,
    "slow transaction": slow_transaction,
    "seek lost": lost_seek,
    "clock stepped": clock_stepped,
}
