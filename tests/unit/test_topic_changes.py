"""How existing topics differ from planned ones, and what can be altered."""

from __future__ import annotations

import pytest

from pipeline.ports import TopicFacts, TopicSpec
from pipeline.topic_changes import Difference, alterable, altered, differences
from pipeline.topics import NO_TIME_LIMIT

_DAY = 86_400_000
OUTPUT = TopicSpec(
    "out",
    6,
    -1,
    {
        "cleanup.policy": "delete",
        "max.message.bytes": "1000",
        "message.timestamp.before.max.ms": NO_TIME_LIMIT,
        "retention.ms": str(30 * _DAY),
    },
)
FIT = {**OUTPUT.config, "message.timestamp.type": "CreateTime", "min.insync.replicas": "1"}


def _found(
    config: dict[str, str] | None = None, spec: TopicSpec = OUTPUT, partitions: int = 6
) -> list[Difference]:
    return differences(spec, TopicFacts("out", partitions, 1, {**FIT, **(config or {})}))


@pytest.mark.parametrize(
    "better",
    [
        {},
        {"retention.ms": "-1"},
        {"retention.ms": str(31 * _DAY)},
        {"max.message.bytes": "1001"},
        {"min.insync.replicas": "1"},
    ],
)
def test_topic_that_is_as_planned_or_better_does_not_differ(better: dict[str, str]) -> None:
    """A longer retention or a higher limit is never taken back: that would delete records."""
    assert _found(better) == []


@pytest.mark.parametrize(
    ("setting", "actual", "planned"),
    [
        ("retention.ms", str(7 * _DAY), str(30 * _DAY)),
        ("cleanup.policy", "compact,delete", "delete"),
        ("max.message.bytes", "999", "1000"),
        ("message.timestamp.before.max.ms", "1", NO_TIME_LIMIT),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("min.insync.replicas", "2", "1"),
    ],
)
def test_setting_that_differs_can_be_altered(setting: str, actual: str, planned: str) -> None:
    """Each is altered to the planned value, after which nothing differs any more."""
    topic = TopicFacts("out", 6, 1, {**FIT, setting: actual})
    found = differences(OUTPUT, topic)
    assert found == [Difference("out", setting, actual, planned)]
    assert alterable(found) == found
    assert differences(OUTPUT, altered(topic, found)) == []


def test_retention_for_ever_is_more_than_any_other() -> None:
    """When it is planned, a topic that deletes anything differs."""
    spec = OUTPUT._replace(config={"retention.ms": "-1"})
    (found,) = _found({"retention.ms": str(1000 * _DAY)}, spec)
    assert (found.actual, found.planned) == (str(1000 * _DAY), "-1")


def test_policy_that_begins_to_delete_is_announced() -> None:
    """A topic that was only compacted loses old records with its new policy: the plan says so."""
    (found,) = _found({"cleanup.policy": "compact"})
    assert found.effect == (
        f"records older than retention.ms, which is {30 * _DAY}, are deleted from then on"
    )
    (kept,) = _found({"cleanup.policy": "compact", "retention.ms": "-1"})
    assert not kept.effect


def test_ledger_may_keep_more_than_planned() -> None:
    """A ledger that is compacted only forgets nothing; one that only deletes grows for ever."""
    spec = TopicSpec("out", 6, -1, {"cleanup.policy": "compact,delete"})
    assert _found({"cleanup.policy": "compact"}, spec) == []
    assert _found({"cleanup.policy": "delete, compact"}, spec) == []
    (found,) = _found({"cleanup.policy": "delete"}, spec)
    assert found.planned == "compact,delete"


def test_partitions_can_only_be_added() -> None:
    """Fewer than planned can be made more, with an effect on order; more stay."""
    (found,) = _found(partitions=3)
    assert (found.setting, found.actual, found.planned, found.obstacle) == (
        "partitions",
        "3",
        "6",
        "",
    )
    assert "out of order" in found.effect
    assert altered(TopicFacts("out", 3, 1, FIT), [found]).partitions == 6
    (more,) = _found(partitions=12)
    assert more.obstacle == "Kafka can't remove partitions: create the topic anew"
    assert alterable([more]) == []


def test_replicas_are_changed_by_another_tool() -> None:
    """The other tool is named; the broker's default is never a difference."""
    (found,) = _found(spec=OUTPUT._replace(replication=3))
    assert (found.actual, found.planned) == ("1", "3")
    assert "kafka-reassign-partitions" in found.obstacle


def test_settings_that_may_not_be_seen() -> None:
    """Without DESCRIBE_CONFIGS nothing is known, and nothing is altered."""
    (found,) = differences(OUTPUT, TopicFacts("out", 6, 1, {}))
    assert "DESCRIBE_CONFIGS" in found.obstacle
