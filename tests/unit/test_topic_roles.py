"""No command writes to a topic that has another role."""

from __future__ import annotations

from typing import Final

import pytest

from pipeline.errors import ExitCode
from pipeline.settings.groups import Topics
from pipeline.topic_roles import RAW, topic_role
from tests.unit.cli.program import run

KAFKA: Final = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
"""An address where nobody listens: nothing is asked of Kafka."""
TAKEN: Final = (
    "track.enriched",
    "track.dead-letter",
    "track.identify",
    "track.dead-letter.ledger",
    "track.dead-letter.replay.20261126T133709Z-95cc.ledger",
    "track.replay.plans",
    "__consumer_offsets",
    "__transaction_state",
    "__cluster_metadata",
)


@pytest.mark.parametrize("name", [*TAKEN, "track.raw", "no topic", ""])
def test_replay_output_can_not_be_a_topic_with_a_role(name: str) -> None:
    """Each such topic is rejected before anything is asked of Kafka."""
    ran = run("replay", "--output", name, env=KAFKA)
    assert ran.code == ExitCode.USAGE
    assert f"--output{'' if name in {'no topic', ''} else ':'} " in ran.err
    assert ("say --into-live" in ran.err) == (name == "track.enriched")


@pytest.mark.parametrize(
    "name",
    [
        *TAKEN,
        "track.enriched.replay.20261126T133709Z-95cc",
        "track.dead-letter.replay.20261126T133709Z-95cc",
        "track.identify.replay.20261126T133709Z-95cc",
    ],
)
def test_generated_events_can_not_go_to_outputs(name: str) -> None:
    """Generated events belong in a raw topic, not in a live output or the output of a replay."""
    ran = run("generate", "--topic", name, env=KAFKA)
    assert ran.code == ExitCode.USAGE
    assert f"--topic: {name} is " in ran.err


def test_roles_follow_the_settings() -> None:
    """Roles belong to the names in the settings; any other topic has none."""
    topics = Topics(raw="a", enriched="b", dead_letter="c", identify="d")
    assert topic_role("a", topics) == RAW
    assert all(
        topic_role(name, topics) for name in ("b", "c", "d", "c.ledger", "c.replay.r.ledger")
    )
    free = ("track.raw", "e", "b.ledger", "b.replay.r", "c.x.ledger", "_schemas", "general.ledger")
    assert [name for name in free if topic_role(name, topics)] == []
