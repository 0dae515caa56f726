"""Sentences about a pipeline that somebody on call should read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pipeline.core.coordinates import format_partitions
from pipeline.kafka import GroupState
from pipeline.monitor.observed_partition import ObservedPartition
from pipeline.monitor.status import PartitionStatus
from pipeline.ports import TopicFacts
from pipeline.settings.model import Settings

_WITHOUT_MEMBERS: Final = frozenset({"EMPTY", "DEAD"})
_REBALANCING: Final = frozenset({"PREPARING_REBALANCING", "COMPLETING_REBALANCING"})
_STANDING_S: Final = 30.0
"""Records that wait without a commit for so long are no batch that is just being written."""


def notices_of(
    group: GroupState,
    settings: Settings,
    raw: Sequence[ObservedPartition],
    facts: Mapping[str, TopicFacts],
) -> Iterator[str]:
    """Yield what is wrong, unusual, or not known."""
    topic = facts[settings.topics.raw]
    yield from _about_the_group(group, settings.group, raw)
    if lost := [each.number for each in raw if each.offsets is None]:
        yield f"{format_partitions(lost)} of topic {topic.name} {_have(lost)} no leader"
    if beyond := [each.number for each in raw if each.is_beyond_end]:
        yield (
            f"the committed offset of {format_partitions(beyond)} does not exist yet: topic "
            f"{topic.name} was truncated, or deleted and created again. Workers stop with exit "
            "code 4"
        )
    if lost := [each.number for each in raw if _lost(each)]:
        yield (
            f"records of {format_partitions(lost)} were deleted before they were read (retention); "
            "on_data_loss says what a worker does then"
        )
    if not topic.config:
        yield (
            f"the retention of topic {topic.name} is not known: grant this user DESCRIBE_CONFIGS "
            "on the topic"
        )
    if hidden := sorted(name for name, each in facts.items() if not each.partitions):
        yield (
            f"open transactions of {', '.join(hidden)} are not known: grant this user DESCRIBE on "
            "the topic"
        )
    contracts = {each.metadata.contract for each in raw if each.metadata is not None}
    if len(contracts) > 1:
        yield (
            f"the last commits are from {len(contracts)} contracts ({', '.join(sorted(contracts))}"
            "): a rolling upgrade is under way, or some partitions have had no records since"
        )
    if any(_is_of_another_topic(each, topic) for each in raw):
        yield f"topic {topic.name} was created again since the last commit"


def _about_the_group(
    group: GroupState, name: str, raw: Sequence[ObservedPartition]
) -> Iterator[str]:
    if group.state in _WITHOUT_MEMBERS or not group.members:
        yield f"group {name} has no members: no worker is running"
    elif group.state in _REBALANCING:
        yield f"group {name} is rebalancing"
    elif free := [each.number for each in raw if each.member is None]:
        yield f"{format_partitions(free)} {_have(free)} no worker"
    if not any(each.committed is not None for each in raw):
        yield f"group {name} has not committed anything yet"


def standing(partitions: Sequence[PartitionStatus], now: int) -> Iterator[str]:
    """Yield that members of the group commit nothing, though records of their partitions wait.

    A member may be stuck, wait, or have an open circuit breaker; or it has ended, and Kafka counts
    it until its session is over.
    """
    if found := [each.partition for each in partitions if _stands(each, now)]:
        yield (
            f"{format_partitions(found)} {_have(found)} had no commit for {_STANDING_S:.0f} s or "
            "more, although records wait: ask the workers why (--url), or read their logs. A "
            "stopped worker with an instance id is a member until its session ends"
        )


def _stands(partition: PartitionStatus, now: int) -> bool:
    at, waits = partition.committed_at, partition.lag_seconds
    if at is None or waits is None or partition.member is None:
        return False
    return min(waits, (now - at) / 1000) >= _STANDING_S


def _lost(partition: ObservedPartition) -> bool:
    at, offsets = partition.committed, partition.offsets
    return at is not None and offsets is not None and at < offsets.begin


def _is_of_another_topic(partition: ObservedPartition, topic: TopicFacts) -> bool:
    metadata = partition.metadata
    return (
        metadata is not None
        and bool(metadata.topic_id and topic.id)
        and (metadata.topic_id != topic.id)
    )


def _have(numbers: Sequence[int]) -> str:
    return "has" if len(numbers) == 1 else "have"
