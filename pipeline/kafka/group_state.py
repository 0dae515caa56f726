"""Why a worker holds no partition of its group, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.core.coordinates import ranges_of
from pipeline.ports import Stall

GIVEN_UP_S: Final = 600.0
"""Time limit of a question for a group, which is waited for much less. When it is over and the
coordinator comes back, librdkafka 2.16 aborts the whole process by an assertion
(`rd_kafka_enq_once_del_source_return`)."""
_SHOWN: Final = 5
_STABLE: Final = "STABLE"
_NOBODY: Final = frozenset({"EMPTY", "DEAD"})


class Member(NamedTuple):
    """A member of the group, and what it reads of the raw topic."""

    name: str
    """Its instance id, else its member id."""
    client: str
    host: str
    partitions: frozenset[int]

    def sentence(self) -> str:
        """Who it is and what it holds."""
        where = f"{self.client} at {self.host.removeprefix('/')}"
        return f"member {self.name} ({where}) holds {self.holding()}"

    def holding(self) -> str:
        """Its partitions, in words."""
        many = "partitions" if len(self.partitions) > 1 else "partition"
        return f"{many} {ranges_of(self.partitions)}"


class GroupState(NamedTuple):
    """A group as its coordinator describes it."""

    state: str
    """Kafka's name, such as STABLE."""
    members: Sequence[Member]


def group_state(described: Any, topic: str) -> GroupState:  # noqa: ANN401  the client's, whose stubs are wrong
    """What matters of a description, for one topic."""
    members = []
    for each in described.members:
        places = each.assignment.topic_partitions if each.assignment else []
        held = frozenset(place.partition for place in places if place.topic == topic)
        name = each.group_instance_id or each.member_id
        members.append(Member(name, each.client_id, each.host, held))
    return GroupState(described.state.name, members)


def is_at_rest(found: GroupState) -> bool:
    """Whether the group waits for nobody: it has no members, or all of them have their part."""
    return found.state == _STABLE or found.state in _NOBODY


def without_partitions(group: str, topic: str, count: int, found: GroupState) -> Stall:
    """Why a worker has none of the topic's `count` partitions."""
    holders = sorted(
        (each for each in found.members if each.partitions), key=lambda each: min(each.partitions)
    )
    # The client has no names for some states of the new protocol, in which members reconcile.
    if found.state in _NOBODY or not found.members:
        return Stall(f"this worker is not yet a member of group {group}: it asks to join")
    if found.state != _STABLE:
        text = f"group {group} is rebalancing: it waits until all of its members ask to join again"
        if holders:
            text += (
                f"; {_listed(holders)}. One that is gone without having left counts as a member "
                "until its session ends (session.timeout.ms)"
            )
        return Stall(text)
    free = set(range(count)).difference(*(each.partitions for each in holders))
    if not free and len(found.members) > count:
        return Stall(
            f"group {group} has more members ({len(found.members)}) than topic {topic} has "
            f"partitions ({count}): there is nothing to do for this one until another leaves",
            harmless=True,
        )
    if free:
        return Stall(f"partitions {ranges_of(free)} of topic {topic} are not given out yet")
    return Stall(f"other members hold all partitions of topic {topic}: {_listed(holders)}")


def _listed(holders: Sequence[Member]) -> str:
    more = len(holders) - _SHOWN
    shown = ", ".join(each.sentence() for each in holders[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
