"""How existing topics differ from those that `topics create` would make, and what can be altered.

A difference is what makes a topic less fit than planned: a longer retention or a higher limit is
none. Nothing is ever planned that deletes records at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.ports import TopicFacts, TopicSpec
from pipeline.topics import NO_TIME_LIMIT

PARTITIONS: Final = "partitions"
REPLICATION: Final = "replication"
_POLICY: Final = "cleanup.policy"
_RETENTION: Final = "retention.ms"
_TIME_TYPE: Final = "message.timestamp.type"
_IN_SYNC: Final = "min.insync.replicas"
_FOR_EVER: Final = -1


class Difference(NamedTuple):
    """One setting of a topic that is not as planned."""

    topic: str
    setting: str
    """`partitions`, `replication`, or the name of a topic setting."""
    actual: str
    planned: str
    effect: str = ""
    """What else altering it brings about."""
    obstacle: str = ""
    """Why it can't be altered here, and what can be done instead."""


def differences(spec: TopicSpec, topic: TopicFacts) -> list[Difference]:
    """Everything about an existing topic that is not as planned."""
    return [*_of_partitions(spec, topic), *_of_replication(spec, topic), *_of_config(spec, topic)]


def alterable(found: Iterable[Difference]) -> list[Difference]:
    """Differences that can be altered."""
    return [each for each in found if not each.obstacle]


def altered(topic: TopicFacts, changes: Iterable[Difference]) -> TopicFacts:
    """The topic as it is once the changes are made."""
    partitions, config = topic.partitions, dict(topic.config)
    for change in changes:
        if change.setting == PARTITIONS:
            partitions = int(change.planned)
        else:
            config[change.setting] = change.planned
    return topic._replace(partitions=partitions, config=config)


def _of_partitions(spec: TopicSpec, topic: TopicFacts) -> list[Difference]:
    actual, planned = topic.partitions, spec.partitions
    if actual == planned:
        return []
    effect = obstacle = ""
    if actual < planned:
        effect = (
            "keys move to other partitions: while older events are still being read, those of one "
            "user may be read out of order"
        )
    else:
        obstacle = "Kafka can't remove partitions: create the topic anew"
    return [Difference(topic.name, PARTITIONS, str(actual), str(planned), effect, obstacle)]


def _of_replication(spec: TopicSpec, topic: TopicFacts) -> list[Difference]:
    if spec.replication in {-1, topic.replication}:
        return []
    obstacle = "kafka-reassign-partitions changes the replicas of a topic"
    actual, planned = str(topic.replication), str(spec.replication)
    return [Difference(topic.name, REPLICATION, actual, planned, obstacle=obstacle)]


def _of_config(spec: TopicSpec, topic: TopicFacts) -> list[Difference]:
    if not topic.config:
        obstacle = "grant DESCRIBE_CONFIGS on the topic to see its settings"
        return [Difference(topic.name, "settings", "unknown", "known", obstacle=obstacle)]
    planned = dict(spec.config)
    if any(value == NO_TIME_LIMIT for value in planned.values()):
        planned[_TIME_TYPE] = "CreateTime"  # an output, whose events keep their own time
    if topic.number(_IN_SYNC, 1) > topic.replication:
        planned[_IN_SYNC] = str(topic.replication)
    return [
        Difference(topic.name, name, topic.config[name], value, _effect(name, topic))
        for name, value in sorted(planned.items())
        if name in topic.config and not _will_do(name, topic.config[name], value)
    ]


def _will_do(name: str, actual: str, planned: str) -> bool:
    """Whether a value is as good as the planned one."""
    if name == _POLICY:
        policies, wanted = _policies(actual), _policies(planned)
        # A ledger that is compacted only keeps more than one that also deletes.
        return policies == wanted or ("compact" in wanted and policies == {"compact"})
    if name == _RETENTION:
        kept, needed = int(actual), int(planned)
        return kept == _FOR_EVER or (needed != _FOR_EVER and kept >= needed)
    if name == _TIME_TYPE:
        return actual == planned
    if name == _IN_SYNC:
        return int(actual) <= int(planned)
    return int(actual) >= int(planned)


def _policies(value: str) -> set[str]:
    return {each.strip() for each in value.split(",")}


def _effect(name: str, topic: TopicFacts) -> str:
    if name != _POLICY or "delete" in _policies(topic.config[_POLICY]):
        return ""
    kept = topic.config.get(_RETENTION, str(_FOR_EVER))
    if kept == str(_FOR_EVER):
        return ""
    return f"records older than retention.ms, which is {kept}, are deleted from then on"
