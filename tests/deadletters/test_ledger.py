"""The ledger says what was done with which letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.record import Record
from pipeline.deadletters.ledger import (
    HOLDER_KEY,
    Action,
    Entry,
    Holder,
    Ledger,
    read_entry,
    read_holder,
)

ENTRY = Entry("t1", 3, 7, Action.REDRIVEN, "raw/0/1/2", 5, "ann@host", 9, "r1", "enriched", "fix")


def _record(value: bytes | None, key: bytes | None = b"k") -> Record:
    return Record(value, key, (), 1, "dead.ledger", 0, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 20_000), st.sampled_from(list(Action))),
        max_size=60,
    )
)
def test_actions(done: list[tuple[int, int, Action]]) -> None:
    """The last action of each letter is known, and of others none."""
    ledger, expected = Ledger("t1"), {}
    for partition, offset, action in done:
        ledger.add(Entry("t1", partition, offset, action, "", None, "", 0, ""))
        expected[partition, offset] = action
    for partition in range(4):
        for offset in {0, 1, *(place[1] for place in expected)}:
            assert ledger.action(partition, offset) == expected.get((partition, offset))


def test_read_back() -> None:
    """An entry survives the way through its record."""
    assert read_entry(_record(ENTRY.value())) == ENTRY
    assert ENTRY.key() == b"t1/3/7"
    holder = Holder("ann@host", 5)
    assert read_holder(_record(holder.value(), HOLDER_KEY)) == holder
    assert read_entry(_record(holder.value(), HOLDER_KEY)) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"topic_id":5}', b"\xff"])
def test_other_records(value: bytes | None) -> None:
    """Records of others, and tombstones, are no entries."""
    assert read_entry(_record(value)) is None
    assert read_holder(_record(value, HOLDER_KEY)) is None


def test_topic_created_anew() -> None:
    """Coordinates of an older topic of the name mean nothing; what was sent stays sent."""
    ledger = Ledger("t2")
    ledger.add(ENTRY)
    assert ledger.action(3, 7) is None
    assert ledger.was_sent("raw/0/1/2", 5, "enriched")
    assert not ledger.was_sent("raw/0/1/2", 6, "enriched")
    assert not ledger.was_sent("raw/0/1/2", 5, "other")
    assert not ledger.was_sent("", 5, "enriched")


def test_unknown_action() -> None:
    """An action of a later version is not taken for one of ours."""
    ledger = Ledger("t1")
    ledger.add(Entry("t1", 0, 0, "shredded", "", None, "", 0, ""))
    assert ledger.action(0, 0) is None
