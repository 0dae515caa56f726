"""The topics of a pipeline: how they are created, and what existing ones must be like."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.ports import TopicFacts
from pipeline.topics import (
    NO_TIME_LIMIT,
    CreateOptions,
    TopicNames,
    missing,
    problems,
    specs,
    warnings,
)

NAMES = TopicNames("raw", "enriched", "letters", "identify")
OPTIONS = CreateOptions(6, 3, None, 30.0)
FIT = {
    "max.message.bytes": "1048588",
    "cleanup.policy": "delete",
    "message.timestamp.before.max.ms": NO_TIME_LIMIT,
    "message.timestamp.after.max.ms": NO_TIME_LIMIT,
}


def _facts(**changed: dict[str, str]) -> dict[str, TopicFacts]:
    configs: dict[str, dict[str, str]] = {name: dict(FIT) for name in NAMES}
    configs["letters"]["max.message.bytes"] = "1114124"
    for name, config in changed.items():
        configs[name].update(config)
    return {name: TopicFacts(name, 6, 3, config) for name, config in configs.items()}


def test_what_is_created_does() -> None:
    """Topics as `topics create` makes them are fit, and dead letters are kept longer."""
    plan = {spec.name: spec for spec in specs(NAMES, OPTIONS, None)}
    assert set(plan) == set(NAMES)
    assert plan["letters"].config["retention.ms"] == str(30 * 86_400_000)
    assert "retention.ms" not in plan["raw"].config
    made = {n: TopicFacts(n, s.partitions, 3, {**FIT, **s.config}) for n, s in plan.items()}
    assert problems(NAMES, ContractSettings(), made) == []


def test_an_existing_raw_topic_decides() -> None:
    """An existing raw topic decides on partitions, and on the size of a dead letter."""
    raw = TopicFacts("raw", 12, 3, {**FIT, "max.message.bytes": "5000000"})
    plan = {spec.name: spec for spec in specs(NAMES, OPTIONS, raw)}
    assert {spec.partitions for spec in plan.values()} == {12}
    assert plan["letters"].config["max.message.bytes"] == str(5_000_000 + 65_536)


@pytest.mark.parametrize(
    ("name", "config", "sentence"),
    [
        ("enriched", {"max.message.bytes": "1004095"}, "set it to at least 1004096"),
        ("letters", {"max.message.bytes": "1114123"}, "set it to at least 1114124"),
        ("enriched", {"cleanup.policy": "compact"}, "cleanup.policy is compact"),
        ("letters", {"cleanup.policy": "compact,delete"}, "set it to delete"),
        ("enriched", {"message.timestamp.after.max.ms": "3600000"}, "stricter than that of raw"),
        ("enriched", {"message.timestamp.difference.max.ms": "1"}, "stricter than that of raw"),
        ("enriched", {"min.insync.replicas": "4"}, "it has 3 replicas, so nothing can be written"),
        ("enriched", {"segment.bytes": "1004095"}, "set it to at least 1004096"),
    ],
)
def test_each_fault_of_a_topic_is_named(name: str, config: dict[str, str], sentence: str) -> None:
    """Each fault of a topic is one sentence that names the topic and the remedy."""
    (found,) = problems(NAMES, ContractSettings(), _facts(**{name: config}))
    assert found.startswith(f"topic {name}: ")
    assert sentence in found


@pytest.mark.parametrize(
    ("name", "config", "sentence"),
    [
        ("raw", {"cleanup.policy": "compact"}, "deletes events that have not been read yet"),
        ("raw", {"retention.ms": "1000"}, "events are deleted 1 s after their time"),
        ("enriched", {"retention.ms": "0"}, "events are deleted 0 s after their time"),
        ("letters", {"retention.ms": "3599999"}, "Set it to days, or to -1"),
        ("enriched", {"message.timestamp.type": "LogAppendTime"}, "set it to CreateTime"),
        ("letters", {"confluent.value.schema.validation": "true"}, "Set it to false"),
    ],
)
def test_what_can_hurt(name: str, config: dict[str, str], sentence: str) -> None:
    """The worker would start; each is one sentence that names the topic and the remedy."""
    facts = _facts(**{name: config})
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert found.startswith(f"topic {name}: ")
    assert sentence in found


def test_too_old_for_the_output() -> None:
    """A limit that raw has too refuses what has waited in raw for longer."""
    limit = {"message.timestamp.before.max.ms": "86400000"}
    facts = _facts(raw=limit, enriched=limit)
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert "topic enriched: message.timestamp.before.max.ms is 86400000: events that" in found


def test_too_few_replicas_in_sync_pass() -> None:
    """Too few replicas in sync pass, and are no reason not to start."""
    facts = _facts(enriched={"min.insync.replicas": "2"})
    facts["enriched"] = facts["enriched"]._replace(in_sync=1)
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert "1 of its replicas are in sync, and min.insync.replicas is 2" in found


@pytest.mark.parametrize("kept", ["-1", "3600000"])
def test_what_does_not_hurt(kept: str) -> None:
    """Nothing is said of topics as `topics create` makes them, and of those that are kept."""
    facts = _facts(raw={"retention.ms": kept}, enriched={"retention.ms": kept})
    assert warnings(NAMES, ContractSettings(), facts) == []


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({}, ["enriched", "letters"]),
        ({"identify": [{"event": "*"}]}, ["enriched", "letters", "identify"]),
    ],
)
def test_the_identify_topic_may_be_missing(settings: dict[str, Any], absent: list[str]) -> None:
    """The identify topic is needed only when a rule writes to it."""
    facts = {"raw": _facts()["raw"]}
    assert missing(NAMES, ContractSettings.model_validate(settings), facts) == absent


def test_unknown_limits_are_not_judged() -> None:
    """Without the right to see a topic's settings nothing is claimed about them."""
    facts = {name: TopicFacts(name, 6, 3, {}) for name in NAMES}
    assert problems(NAMES, ContractSettings(), facts) == []
