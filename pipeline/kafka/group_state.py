"""Says in one sentence why a worker has no partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.core.coordinates import format_partitions, format_ranges
from pipeline.ports import Stall

GIVEN_UP_S: Final = 600.0
"""Time limit of a question about a group, far above the time that anybody waits for the answer.
When the limit passes and the coordinator then comes back, librdkafka 2.16 aborts the whole
process by an assertion (`rd_kafka_enq_once_del_source_return`)."""
_SHOWN: Final = 5
"""Number of members that a sentence names."""
_STABLE: Final = "STABLE"
_NOBODY: Final = frozenset({"EMPTY", "DEAD"})


class Member(NamedTuple):
    """A member of the group, and its partitions of the raw topic."""

    name: str
    """The member's group.instance.id, or its member id if it has none."""
    client: str
    host: str
    partitions: frozenset[int]

    def sentence(self) -> str:
        """Return who it is and which partitions it has."""
        where = f"{self.client} at {self.host.removeprefix('/')}"
        return f"member {self.name} ({where}) holds {self.holding()}"

    def holding(self) -> str:
        """Return its partitions in words."""
        return format_partitions(self.partitions)


class GroupState(NamedTuple):
    """A group as its coordinator describes it."""

    state: str
    """Kafka's name of the state, such as STABLE."""
    members: Sequence[Member]


def group_state(described: Any, topic: str) -> GroupState:  # noqa: ANN401  the client's, whose stubs are wrong
    """Extract what matters from a group's description, for one topic."""
    members = []
    for each in described.members:
        places = each.assignment.topic_partitions if each.assignment else []
        held = frozenset(place.partition for place in places if place.topic == topic)
        name = each.group_instance_id or each.member_id
        members.append(Member(name, each.client_id, each.host, held))
    return GroupState(described.state.name, members)


def is_at_rest(found: GroupState) -> bool:
    """Return whether the group waits for nobody: it is empty, or every member has its part."""
    return found.state == _STABLE or found.state in _NOBODY


def without_partitions(group: str, topic: str, count: int, found: GroupState) -> Stall:
    """Return why a worker has none of the topic's `count` partitions."""
    holders = sorted(
        (each for each in found.members if each.partitions), key=lambda each: min(each.partitions)
    )
    # The client has no names for some states of the new protocol, in which members reconcile.
    if found.state in _NOBODY or not found.members:
        return Stall(f"this worker is not yet a member of group {group}: it is asking to join")
    if found.state != _STABLE:
        text = f"group {group} is rebalancing: it waits for all of its members to rejoin"
        if holders:
            text += (
                f"; {_listed(holders)}. One that disappeared without leaving counts as a member "
                "until its session ends (session.timeout.ms)"
            )
        return Stall(text)
    free = set(range(count)).difference(*(each.partitions for each in holders))
    if not free and len(found.members) > count:
        return Stall(
            f"group {group} has more members ({len(found.members)}) than topic {topic} has "
            f"partitions ({count}): this one is idle until another leaves",
            harmless=True,
        )
    if free:
        return Stall(f"partitions {format_ranges(free)} of topic {topic} are not assigned yet")
    return Stall(f"other members hold all partitions of topic {topic}: {_listed(holders)}")


def _listed(holders: Sequence[Member]) -> str:
    more = len(holders) - _SHOWN
    shown = ", ".join(each.sentence() for each in holders[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
