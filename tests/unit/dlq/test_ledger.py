"""The ledger says what was done with each dead letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.record import Record
from pipeline.dlq.ledger import (
    Action,
    Entry,
    Holder,
    Ledger,
    discarded_by,
    holder_key,
    read_entry,
    read_holder,
)
from pipeline.errors import RefusedError

ENTRY = Entry("t1", 3, 7, Action.REDRIVEN, "raw/0/1/2", 5, "ann@host", 9, "r1", "enriched", "fix")


def _record(value: bytes | None, key: bytes | None = b"k") -> Record:
    return Record(value, key, (), 1, "dead.ledger", 0, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 20_000), st.sampled_from(list(Action))),
        max_size=60,
    )
)
def test_last_action_is_known(done: list[tuple[int, int, Action]]) -> None:
    """The last action on each dead letter is known, and a discard can be undone."""
    ledger = Ledger("t1")
    expected: dict[tuple[int, int], Action] = {}
    for partition, offset, action in done:
        entry = Entry("t1", partition, offset, action, "", None, "", 0, "")
        place = (partition, offset)
        if action is not Action.RESTORED:
            expected[place] = action
        else:
            assert ledger.holds(entry) == (expected.get(place) is not Action.DISCARDED)
            if expected.get(place) is Action.DISCARDED:
                del expected[place]
        ledger.add(entry)
        assert ledger.holds(entry)
    for partition in range(4):
        for offset in {0, 1, *(place[1] for place in expected)}:
            assert ledger.action(partition, offset) == expected.get((partition, offset))


def _done(action: Action, id_: str) -> Entry:
    return Entry("t1", 0, 5, action, "", None, "", 0, id_)


def test_history_survives_compaction() -> None:
    """Compaction keeps the last record of each key, so the history keeps what was undone."""
    log = [
        _done(Action.DISCARDED, "d1"),
        _done(Action.RESTORED, "r1"),
        _done(Action.DISCARDED, "d2"),
        _done(Action.RESTORED, "r2"),
    ]
    for end in range(len(log) + 1):
        last = {entry.key(): number for number, entry in enumerate(log[:end])}
        whole, compacted = Ledger("t1"), Ledger("t1")
        for number, entry in enumerate(log[:end]):
            whole.add(entry)
            if last[entry.key()] == number:
                compacted.add(entry)
        assert compacted.action(0, 5) == whole.action(0, 5)
    assert [log[number].id for number in last.values()] == ["d2", "r2"]


def test_dead_letters_of_one_discard() -> None:
    """A discard can be undone where it was the last, unless it was undone since."""
    log = [_done(Action.DISCARDED, "d1")]
    assert discarded_by("d1", "t1", log).action(0, 5) is Action.DISCARDED
    assert discarded_by("d2", "t1", log).is_empty
    log.append(_done(Action.DISCARDED, "d2"))
    assert discarded_by("d1", "t1", log).action(0, 5) is None
    log.append(_done(Action.RESTORED, "r1"))
    assert discarded_by("d2", "t1", log).action(0, 5) is None


def test_entry_is_read_back_from_its_record() -> None:
    """An entry is the same after it was written to a record and read."""
    assert read_entry(_record(ENTRY.value())) == ENTRY
    assert ENTRY.key() == b"t1/3/7"
    holder = Holder("track.dlq.dead", "ann@host", 5, "ab12")
    key = holder_key(holder.transactional_id)
    assert read_holder(_record(holder.value(), key)) == holder
    assert read_entry(_record(holder.value(), key)) is None
    assert read_holder(_record(ENTRY.value(), ENTRY.key())) is None
    assert read_holder(_record(None, key)) == holder.transactional_id


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'{"topic_id":5}', b"\xff", ENTRY.value().replace(b":9", b":-9")]
)
def test_other_records_are_no_entries(value: bytes) -> None:
    """Records of other programs, or with an impossible time, are not entries."""
    assert read_entry(_record(value)) is None
    assert read_entry(_record(None)) is None
    assert read_holder(_record(value, holder_key("t"))) is None


def test_topic_created_anew() -> None:
    """Coordinates of an older topic of the name do not count; what was sent stays sent."""
    ledger = Ledger("t2")
    ledger.add(ENTRY)
    assert ledger.action(3, 7) is None
    assert ledger.was_sent("raw/0/1/2", 5, "enriched")
    assert not ledger.was_sent("raw/0/1/2", 6, "enriched")
    assert not ledger.was_sent("raw/0/1/2", 5, "other")
    assert not ledger.was_sent("", 5, "enriched")


def test_unknown_action_is_ignored() -> None:
    """An action of a later version is not taken for one of this version."""
    ledger = Ledger("t1")
    ledger.add(Entry("t1", 0, 0, "shredded", "", None, "", 0, ""))
    assert ledger.action(0, 0) is None


def _sent(number: int) -> Entry:
    return Entry("t1", 0, number, Action.REDRIVEN, f"raw/0/{number}", 5, "me", 1, "r1", "enriched")


def test_more_than_can_be_told_apart() -> None:
    """Beyond the limit, what was sent is still known, and nothing is guessed about other events."""
    ledger = Ledger("t1", most_sent=2)
    for number in (0, 1, 1):
        ledger.add(_sent(number))
    assert not ledger.was_sent("raw/0/7", 5, "enriched")
    ledger.add(_sent(2))
    assert ledger.was_sent("raw/0/1", 5, "enriched")
    assert ledger.action(0, 2) is Action.REDRIVEN
    with pytest.raises(RefusedError, match="more than 2 events"):
        ledger.was_sent("raw/0/7", 5, "enriched")
