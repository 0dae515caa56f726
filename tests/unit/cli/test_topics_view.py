"""What people and programs see of a plan for topics."""

from __future__ import annotations

import json
from typing import Final

import pytest

from pipeline.cli.topics_view import print_plan
from pipeline.ports import TopicFacts, TopicSpec
from tests.unit.cli.terminal import as_terminal

_DAY: Final = 86_400_000
_NO_FEWER: Final = "Kafka can't remove partitions: create the topic anew"
_KEYS_MOVE: Final = (
    "keys move to other partitions: while older events are still being read, those of one user may "
    "be read out of order"
)
_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY)}
PLAN: Final = [TopicSpec(name, 6, -1, _CONFIG) for name in ("new", "same", "other", "large")]
FACTS: Final = {
    "same": TopicFacts("same", 6, 3, {**_CONFIG, "segment.bytes": "1"}),
    "other": TopicFacts("other", 3, 3, {"cleanup.policy": "compact", "retention.ms": "3600000"}),
    "large": TopicFacts("large", 12, 3, _CONFIG),
}
CREATE: Final = [
    "create   new: 6 partitions, the broker's default replication",
    "          cleanup.policy=delete",
    "          retention.ms=2592000000 (30 d)",
    "keep     same: 6 partitions, replication 3, as planned",
    "differs  other: 3 partitions, replication 3",
    "          partitions is 3, planned 6",
    "          cleanup.policy is compact, planned delete",
    "          retention.ms is 3600000 (1 h), planned 2592000000 (30 d)",
    "differs  large: 12 partitions, replication 3",
    "          partitions is 12, planned 6",
]


def test_plan_shows_real_values_and_marks_differences(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a topic that exists it shows what that is like, not what it would be made like."""
    print_plan(PLAN, FACTS, alters=False, as_json=False)
    assert capsys.readouterr().out.splitlines() == CREATE


def test_plan_to_alter_says_what_can_be_altered_and_what_follows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each change with both values; what can't be changed, with what to do instead."""
    print_plan(PLAN[1:], FACTS, alters=True, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "keep     same: 6 partitions, replication 3, as planned",
        "alter    other: 3 partitions, replication 3",
        "          partitions: 3 -> 6",
        "          cleanup.policy: compact -> delete",
        "          retention.ms: 3600000 (1 h) -> 2592000000 (30 d)",
        "differs  large: 12 partitions, replication 3",
        f"          partitions is 12, planned 6: can't be altered here; {_NO_FEWER}",
        f"note: {_KEYS_MOVE}",
        "note: records older than retention.ms, which is 3600000, are deleted from then on",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_plan_on_a_terminal_says_the_same(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Lines are folded to its width; the words are those of a pipe."""
    terminal = as_terminal(monkeypatch, width)
    print_plan(PLAN, FACTS, alters=False, as_json=False)
    lines = terminal.lines()
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(CREATE).split())
    assert all(len(line) <= width for line in lines if line.startswith(" "))


def test_plan_as_json_has_real_values_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A document for programs: one object for each topic."""
    print_plan(PLAN, FACTS, alters=False, as_json=True)
    new, same, other, _ = json.loads(capsys.readouterr().out)
    assert new == {
        "action": "create",
        "name": "new",
        "partitions": 6,
        "replication": -1,
        "config": _CONFIG,
        "differences": [],
    }
    assert (same["action"], same["replication"], same["config"]) == ("keep", 3, _CONFIG)
    assert (other["action"], other["partitions"]) == ("differs", 3)
    assert other["config"] == FACTS["other"].config
    assert other["differences"][0] == {
        "setting": "partitions",
        "actual": "3",
        "planned": "6",
        "effect": other["differences"][0]["effect"],
        "obstacle": None,
    }
