"""Faults of the group's committed offsets, and of the log that they refer to."""

from __future__ import annotations

import signal
import time

from pipeline.errors import ExitCode
from tests.system.chaos.environment import Environment
from tests.system.chaos.faults import NotFiredError


def delete_offsets(env: Environment) -> None:
    """Delete the group's offsets: every worker must exit with 4 until they are restored."""
    admin, group, raw = env.admin, env.group, env.names.raw
    slots, names = env.slots, [slot.name for slot in env.slots]
    with env.workers.suspended(*slots):
        for slot in slots:
            slot.signal(signal.SIGTERM)
        for slot in slots:
            env.workers.await_end(slot)
        admin.evict(group, names)
        saved = admin.retry(lambda: admin.offsets(group, raw), "saving the offsets")
        admin.retry(lambda: admin.delete_group(group), "deleting the group")
    env.wait_for(lambda: _stopped_for_loss(env) > 0, "noticing that the offsets are gone")
    with env.workers.suspended(*slots):
        for slot in slots:
            slot.signal(signal.SIGKILL)
            env.workers.await_end(slot)
        admin.evict(group, names)
        admin.retry(lambda: admin.set_offsets(group, saved), "restoring the offsets")


def cut_log(env: Environment) -> None:
    """Delete the raw records before the group's offsets, as retention would one day.

    This happens first under load, then when everything is committed. The second time the log starts
    behind the commit markers of the last transactions, and behind aborted records. Workers are
    restarted and added, so that partitions are read from their committed offsets. No record that
    can be read is lost.
    """
    admin, raw = env.admin, env.names.raw
    _delete_committed(env)
    with env.load.paused():
        ends = admin.retry(lambda: admin.ends(raw, committed=False), "asking for ends")
        if not any(ends[number] > end for number, end in env.load.ends().items()):
            raise NotFiredError("no marker was behind the last record")
        goal = env.progress.set_goal("all, markers too", ends)
        env.wait_for(lambda: goal.recovery_s is not None, "committing behind markers")
        env.progress.goals.remove(goal)
        _delete_committed(env)
        for slot in env.rng.sample(env.slots, env.rng.randint(1, len(env.slots))):
            slot.signal(env.rng.choice([signal.SIGKILL, signal.SIGTERM]))
    guest = env.workers.add("guest1")
    time.sleep(env.rng.uniform(2, 3))
    env.workers.retire(guest, signal.SIGTERM)
    env.workers.await_end(guest)


def _delete_committed(env: Environment) -> None:
    admin, raw = env.admin, env.names.raw
    positions = admin.retry(lambda: admin.offsets(env.group, raw), "asking for offsets")
    before = {each.partition: each.offset for each in positions if each.offset >= 0}
    admin.retry(lambda: admin.delete_records(raw, before), "deleting records")


def _stopped_for_loss(env: Environment) -> int:
    return sum(each.code == ExitCode.DATA_LOSS for each in env.workers.exits)
