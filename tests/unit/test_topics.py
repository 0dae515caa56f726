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

NAMES = TopicNames("raw", "enriched", "dead", "identify", "other")
OPTIONS = CreateOptions(6, 3, None, 30.0)
FIT = {
    "max.message.bytes": "1048588",
    "cleanup.policy": "delete",
    "message.timestamp.before.max.ms": NO_TIME_LIMIT,
    "message.timestamp.after.max.ms": NO_TIME_LIMIT,
}


def _facts(**changed: dict[str, str]) -> dict[str, TopicFacts]:
    configs: dict[str, dict[str, str]] = {name: dict(FIT) for name in NAMES}
    configs["dead"]["max.message.bytes"] = "1114124"
    for name, config in changed.items():
        configs[name].update(config)
    return {name: TopicFacts(name, 6, 3, config) for name, config in configs.items()}


def test_created_topics_are_fit() -> None:
    """Topics that `topics create` makes have no problems, and dead letters are kept longer."""
    plan = {spec.name: spec for spec in specs(NAMES, OPTIONS, None)}
    assert set(plan) == {*NAMES} - {NAMES.other}
    assert plan["dead"].config["retention.ms"] == str(30 * 86_400_000)
    assert "retention.ms" not in plan["raw"].config
    made = {n: TopicFacts(n, s.partitions, 3, {**FIT, **s.config}) for n, s in plan.items()}
    assert problems(NAMES, ContractSettings(), made) == []


def test_topic_for_other_calls_takes_every_raw_record() -> None:
    """On request it is created, as large as the dead-letter topic, and then has no problem."""
    plan = {spec.name: spec for spec in specs(NAMES, OPTIONS, None, with_other=True)}
    assert plan["other"].config["max.message.bytes"] == "1114124"
    assert "retention.ms" not in plan["other"].config
    settings = ContractSettings.model_validate({"on_other_type": "forward"})
    facts = _facts(other={"max.message.bytes": "1114123"})
    (found,) = problems(NAMES, settings, facts)
    assert "topic other: max.message.bytes is 1114123" in found
    assert problems(NAMES, settings, _facts(other={"max.message.bytes": "1114124"})) == []
    assert problems(NAMES, ContractSettings(), facts) == []
    assert missing(NAMES, settings, {}) == ["raw", "enriched", "dead", "other"]


def test_existing_raw_topic_decides_partitions_and_sizes() -> None:
    """The other topics follow its number of partitions and its maximum record size."""
    raw = TopicFacts("raw", 12, 3, {**FIT, "max.message.bytes": "5000000"})
    plan = {spec.name: spec for spec in specs(NAMES, OPTIONS, raw)}
    assert {spec.partitions for spec in plan.values()} == {12}
    assert plan["dead"].config["max.message.bytes"] == str(5_000_000 + 65_536)


@pytest.mark.parametrize(
    ("name", "config", "sentence"),
    [
        ("enriched", {"max.message.bytes": "1004095"}, "set it to at least 1004096"),
        ("dead", {"max.message.bytes": "1114123"}, "set it to at least 1114124"),
        ("enriched", {"cleanup.policy": "compact"}, "cleanup.policy is compact"),
        ("dead", {"cleanup.policy": "compact,delete"}, "set it to delete"),
        ("enriched", {"message.timestamp.after.max.ms": "3600000"}, "stricter than that of raw"),
        ("enriched", {"message.timestamp.difference.max.ms": "1"}, "stricter than that of raw"),
        ("enriched", {"min.insync.replicas": "4"}, "it has 3 replicas, so nothing can be written"),
        ("enriched", {"segment.bytes": "1004095"}, "set it to at least 1004096"),
    ],
)
def test_problems_name_topic_and_remedy(name: str, config: dict[str, str], sentence: str) -> None:
    """Each problem of a topic is one sentence that names the topic and the remedy."""
    (found,) = problems(NAMES, ContractSettings(), _facts(**{name: config}))
    assert found.startswith(f"topic {name}: ")
    assert sentence in found


@pytest.mark.parametrize(
    ("name", "config", "sentence"),
    [
        ("raw", {"cleanup.policy": "compact"}, "deletes events that have not been read yet"),
        ("raw", {"retention.ms": "1000"}, "events are deleted 1 s after their time"),
        ("enriched", {"retention.ms": "0"}, "events are deleted 0 s after their time"),
        ("dead", {"retention.ms": "3599999"}, "set it to days, or to -1"),
        ("enriched", {"message.timestamp.type": "LogAppendTime"}, "set it to CreateTime"),
        ("dead", {"confluent.value.schema.validation": "true"}, "set it to false"),
    ],
)
def test_warnings_name_topic_and_remedy(name: str, config: dict[str, str], sentence: str) -> None:
    """The worker would start; each warning is one sentence with the topic and the remedy."""
    facts = _facts(**{name: config})
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert found.startswith(f"topic {name}: ")
    assert sentence in found


def test_time_limit_of_an_output_is_warned_of() -> None:
    """A limit that the raw topic also has applies to events that have waited in it."""
    limit = {"message.timestamp.before.max.ms": "86400000"}
    facts = _facts(raw=limit, enriched=limit)
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert "topic enriched: message.timestamp.before.max.ms is 86400000: events that" in found


def test_missing_replicas_are_warned_of() -> None:
    """Too few replicas in sync can recover, so the worker starts."""
    facts = _facts(enriched={"min.insync.replicas": "2"})
    facts["enriched"] = facts["enriched"]._replace(in_sync=1)
    assert problems(NAMES, ContractSettings(), facts) == []
    (found,) = warnings(NAMES, ContractSettings(), facts)
    assert "1 of its replicas are in sync, and min.insync.replicas is 2" in found


@pytest.mark.parametrize("kept", ["-1", "3600000"])
def test_fit_topics_give_no_warnings(kept: str) -> None:
    """There are no warnings about topics that `topics create` makes, or about long retention."""
    facts = _facts(raw={"retention.ms": kept}, enriched={"retention.ms": kept})
    assert warnings(NAMES, ContractSettings(), facts) == []


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({}, ["enriched", "dead"]),
        ({"identify": [{"event": "*"}]}, ["enriched", "dead", "identify"]),
    ],
)
def test_missing_topics_are_found(settings: dict[str, Any], absent: list[str]) -> None:
    """The identify topic is required only when a rule writes to it."""
    facts = {"raw": _facts()["raw"]}
    assert missing(NAMES, ContractSettings.model_validate(settings), facts) == absent


def test_unknown_settings_are_no_problem() -> None:
    """Without permission to read the settings of a topic nothing is claimed about them."""
    facts = {name: TopicFacts(name, 6, 3, {}) for name in NAMES}
    assert problems(NAMES, ContractSettings(), facts) == []
