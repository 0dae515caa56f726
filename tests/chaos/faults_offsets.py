"""What is done to the group's offsets, and to the log of the topic that they are about."""

from __future__ import annotations

import signal
import time

from pipeline.exits import Exit
from tests.chaos.faults import NotFiredError
from tests.chaos.world import World


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
    """The raw topic's log is cut behind the group, up to markers that nobody ever reads.

    Then workers start again, or come and go, so that partitions are read from committed offsets.
    Nothing is lost: every record that can be read was committed before.
    """
    operator, raw = world.operator, world.names.raw
    with world.load.quiet():
        goal = world.progress.set_goal("all before the cut", world.load.ends())
        committed = world.wait_for(lambda: goal.took_s is not None, "committing all before a cut")
        world.progress.goals.remove(goal)
        if not committed:
            raise NotFiredError("a cut would have lost records that were not committed yet")
        ends = operator.patiently(lambda: operator.ends(raw, committed=False), "asking for ends")
        if not any(ends[number] > wanted for number, wanted in goal.wanted.items()):
            raise NotFiredError("no marker was behind the last record")
        operator.patiently(lambda: operator.delete_records(raw, ends), "cutting the log")
        for slot in world.dice.sample(world.slots, world.dice.randint(1, len(world.slots))):
            slot.signal(world.dice.choice([signal.SIGKILL, signal.SIGTERM]))
    guest = world.fleet.add("guest1")
    time.sleep(world.dice.uniform(2, 3))
    world.fleet.retire(guest, signal.SIGTERM)
    world.fleet.await_end(guest)


def _lost(world: World) -> int:
    return sum(ended.code == Exit.DATA_LOSS for ended in world.fleet.ended)
