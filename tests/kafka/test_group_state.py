"""Why a worker has no partitions: a sentence for each state that a group can be in."""

from __future__ import annotations

import pytest

from pipeline.kafka.group_state import GroupState, Member, without_partitions
from pipeline.ports import Stall


def _member(name: str, *partitions: int) -> Member:
    return Member(name, "app", "/10.0.0.7", frozenset(partitions))


def _why(state: str, *members: Member, count: int = 4) -> Stall:
    return without_partitions("g", "track.raw", count, GroupState(state, members))


@pytest.mark.parametrize(
    "state", ["PREPARING_REBALANCING", "COMPLETING_REBALANCING", "ASSIGNING", "UNKNOWN"]
)
def test_rebalance_names_the_members_it_waits_for(state: str) -> None:
    """The sentence names the members that the group waits for, and what each of them holds."""
    found = _why(state, _member("new"), _member("w2", 3), _member("w1", 0, 1, 2))
    assert not found.harmless
    assert found.cause.startswith(
        "group g is rebalancing: it waits for all of its members to rejoin"
    )
    assert (
        "member w1 (app at 10.0.0.7) holds partitions 0-2, "
        "member w2 (app at 10.0.0.7) holds partition 3." in found.cause
    )
    assert "session.timeout.ms" in found.cause


def test_rebalancing_for_the_first_time() -> None:
    """Nobody holds anything, so nobody is named."""
    assert "holds" not in _why("PREPARING_REBALANCING", _member("new")).cause


def test_nothing_to_do() -> None:
    """All partitions have their reader, and there are not more of them."""
    found = _why("STABLE", _member("w1", 0), _member("w2", 1), _member("w3"), count=2)
    assert found.harmless
    assert "more members (3) than topic track.raw has partitions (2)" in found.cause


def test_others_hold_everything() -> None:
    """Though there are enough for all: who they are, the first five of them."""
    others = [_member(f"w{number}", number) for number in range(7)]
    found = _why("STABLE", *others, count=7)
    assert not found.harmless
    assert found.cause.startswith("other members hold all partitions of topic track.raw: member w0")
    assert found.cause.endswith("holds partition 4 and 2 more")


def test_partitions_that_nobody_holds_are_named() -> None:
    """The cause names the partitions that no member holds."""
    assert "partitions 1, 3 of topic" in _why("STABLE", _member("w1", 0, 2)).cause


@pytest.mark.parametrize("state", ["EMPTY", "DEAD", "UNKNOWN"])
def test_not_yet_a_member(state: str) -> None:
    """The group does not know this worker."""
    assert "not yet a member of group g" in _why(state).cause
