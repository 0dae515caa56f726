"""Whether a process works on a replay, and the state that this makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import Final

from pipeline.errors import TransportError
from pipeline.kafka import ReplayPresence, members_of
from pipeline.replay.plan import GROUP_PREFIX, PlanRecord, ReplayPlan, State
from pipeline.settings.model import Settings
from pipeline.topics import PLANS_TOPIC
from pipeline.wiring import WallClock

_JOINING_MS: Final = 10_000
"""A replay that was written down so recently counts as running while its group never had a member:
its process may be about to join, which takes Kafka up to three seconds
(group.initial.rebalance.delay.ms)."""


class ReplayState(StrEnum):
    """The state of a replay, for people."""

    RUNNING = "running"
    """A process works on it: it compares, writes, or verifies."""
    INTERRUPTED = "interrupted"
    """It was begun and is not finished, and no process works on it. It can be resumed."""
    CANCELLED = "cancelled"
    FINISHED = "finished"
    """It is written and verified."""
    UNKNOWN = "unknown"
    """It is not finished, and Kafka does not say whether a process works on it."""


def presence_group(plan: ReplayPlan) -> str:
    """Name the consumer group whose member is the process that works on the replay."""
    return f"{GROUP_PREFIX}{plan.id}.process"


@contextmanager
def being_present(settings: Settings, plan: ReplayPlan) -> Iterator[None]:
    """Let others see within the block that this process works on the replay."""
    with closing(ReplayPresence(settings.kafka, presence_group(plan), PLANS_TOPIC)):
        yield


def states_of(settings: Settings, records: Iterable[PlanRecord]) -> dict[str, ReplayState]:
    """Find out the state of each replay, by its id.

    One question to Kafka answers for all that are not finished: whether their groups have members.
    """
    records = list(records)
    open_ = [each for each in records if each.state in {State.PLANNED, State.STARTED}]
    groups = [presence_group(each.plan) for each in open_]
    try:
        members = members_of(settings.kafka, groups, settings.startup_timeout_s)
    except TransportError:
        members = None
    now = WallClock().now()
    return {each.plan.id: _state(each, members, now) for each in records}


def _state(
    record: PlanRecord, members: Mapping[str, tuple[str, ...]] | None, now: int
) -> ReplayState:
    if record.state is State.CANCELLED:
        return ReplayState.CANCELLED
    if record.state is State.FINISHED:
        return ReplayState.FINISHED
    if members is None:
        return ReplayState.UNKNOWN
    found = members.get(presence_group(record.plan))
    is_joining = found is None and now - record.at < _JOINING_MS
    return ReplayState.RUNNING if found or is_joining else ReplayState.INTERRUPTED


def process_of(settings: Settings, plan: ReplayPlan) -> str | None:
    """Return the address of the process that works on the replay; None when there is none."""
    group = presence_group(plan)
    found = members_of(settings.kafka, [group], settings.startup_timeout_s).get(group)
    return found[0] if found else None
