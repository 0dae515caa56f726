"""What is done to the group's offsets, and to the log of the topic that they are about."""

from __future__ import annotations

import signal
import time

from pipeline.errors import ExitCode
from tests.system.chaos.faults import NotFiredError
from tests.system.chaos.world import World


def delete_offsets(world: World) -> None:
    """The group's offsets are lost: every worker must stop with 4 until they are restored."""
    operator, group, raw = world.operator, world.group, world.names.raw
    slots, names = world.slots, [slot.name for slot in world.slots]
    with world.fleet.held(*slots):
        for slot in slots:
            slot.signal(signal.SIGTERM)
        for slot in slots:
            world.fleet.await_end(slot)
        operator.evict(group, names)
        saved = operator.patiently(lambda: operator.offsets(group, raw), "saving the offsets")
        operator.patiently(lambda: operator.delete_group(group), "deleting the group")
    world.wait_for(lambda: _lost(world) > 0, "noticing that the offsets are gone")
    with world.fleet.held(*slots):
        for slot in slots:
            slot.signal(signal.SIGKILL)
            world.fleet.await_end(slot)
        operator.evict(group, names)
        operator.patiently(lambda: operator.set_offsets(group, saved), "restoring the offsets")


def cut_log(world: World) -> None:
    """The raw topic's log is cut up to the group's offsets, as retention would one day.

    First while all are at work, then when there is nothing left to read: then the cut is behind
    the markers of the last transactions, and behind records that were aborted. Workers start again,
    or come and go, so that partitions are read from committed offsets. Nothing that can be read is
    lost.
    """
    operator, raw = world.operator, world.names.raw
    _cut(world)
    with world.load.quiet():
        ends = operator.patiently(lambda: operator.ends(raw, committed=False), "asking for ends")
        if not any(ends[number] > wanted for number, wanted in world.load.ends().items()):
            raise NotFiredError("no marker was behind the last record")
        goal = world.progress.set_goal("all, markers too", ends)
        world.wait_for(lambda: goal.took_s is not None, "committing behind markers")
        world.progress.goals.remove(goal)
        _cut(world)
        for slot in world.dice.sample(world.slots, world.dice.randint(1, len(world.slots))):
            slot.signal(world.dice.choice([signal.SIGKILL, signal.SIGTERM]))
    guest = world.fleet.add("guest1")
    time.sleep(world.dice.uniform(2, 3))
    world.fleet.retire(guest, signal.SIGTERM)
    world.fleet.await_end(guest)


def _cut(world: World) -> None:
    operator, raw = world.operator, world.names.raw
    places = operator.patiently(lambda: operator.offsets(world.group, raw), "asking for offsets")
    before = {place.partition: place.offset for place in places if place.offset >= 0}
    operator.patiently(lambda: operator.delete_records(raw, before), "cutting the log")


def _lost(world: World) -> int:
    return sum(ended.code == ExitCode.DATA_LOSS for ended in world.fleet.ended)
