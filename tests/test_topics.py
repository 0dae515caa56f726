"""The topics of a pipeline: how they are created, and what existing ones must be like."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.ports import TopicFacts
from pipeline.topics import NO_TIME_LIMIT, CreateOptions, TopicNames, missing, problems, specs

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
    """Its partitions, and what a dead letter must hold."""
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
    ],
)
def test_unfit(name: str, config: dict[str, str], sentence: str) -> None:
    """Each fault of a topic is one sentence that names the topic and the remedy."""
    (found,) = problems(NAMES, ContractSettings(), _facts(**{name: config}))
    assert found.startswith(f"topic {name}: ")
    assert sentence in found


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({}, ["enriched", "letters"]),
        ({"identify": [{"event": "*"}]}, ["enriched", "letters", "identify"]),
    ],
)
def test_missing(settings: dict[str, Any], absent: list[str]) -> None:
    """The identify topic is needed only when a rule writes to it."""
    facts = {"raw": _facts()["raw"]}
    assert missing(NAMES, ContractSettings.model_validate(settings), facts) == absent


def test_unknown_limits() -> None:
    """Without the right to see a topic's settings nothing is claimed about them."""
    facts = {name: TopicFacts(name, 6, 3, {}) for name in NAMES}
    assert problems(NAMES, ContractSettings(), facts) == []
