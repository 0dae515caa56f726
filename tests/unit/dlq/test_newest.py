"""The newest dead letters are found from the ends of the partitions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.filters import EVERYTHING, Selection
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.reader import DlqReader, TopicSnapshot
from pipeline.ports import Ranges
from tests.unit.dlq.dead_letters import TOPIC

_ID = "id"


class Topic:
    """Partition 0 with 30,000 dead letters, one each ms; partition 1 with 3, the last one newer."""

    def __init__(self) -> None:
        self.read_offsets = 0
        self.extents = {0: (10_000, 40_000), 1: (0, 3), 2: (5, 5)}
        self.times = {1: [1, 2, 50_000]}

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """Each record once, in order."""
        for (topic, number), (first, end) in ranges.items():
            assert self.extents[number][0] <= first <= end <= self.extents[number][1]
            for offset in range(first, end):
                self.read_offsets += 1
                yield self._record(topic, number, offset)

    def _record(self, topic: str, number: int, offset: int) -> Record:
        time = self.times[1][offset] if number == 1 else offset
        reason = b"rare" if offset == 10_005 else b"frequent"
        return Record(b"{}", None, [(DlqHeader.REASON, reason)], time, topic, number, offset)


def _reader(
    topic: Topic,
    selection: Selection = EVERYTHING,
    ledger: Ledger | None = None,
    *,
    include_done: bool = False,
) -> DlqReader:
    return DlqReader(
        topic,
        TopicSnapshot(TOPIC, _ID, topic.extents, {}),
        ledger or Ledger(_ID),
        selection,
        include_done=include_done,
    )


@pytest.mark.parametrize(
    ("selection", "count", "places", "most_read"),
    [
        (EVERYTHING, 1, ["1/2"], 1003),
        (EVERYTHING, 3, ["0/39998", "0/39999", "1/2"], 1003),
        (Selection(reasons=frozenset({"rare"})), 2, ["0/10005"], 30_003),
        (Selection(reasons=frozenset({"none"})), 2, [], 30_003),
        (Selection(offsets={0: (0, 20_000)}), 2, ["0/19998", "0/19999"], 1000),
        (Selection(offsets={1: (0, 2)}), 5, ["1/0", "1/1"], 2),
        (Selection(offsets={2: (0, 9), 9: (0, 9)}), 5, [], 0),
        (Selection(limit=1), 2, ["0/39999", "1/2"], 1003),
    ],
)
def test_newest_are_found_from_the_ends(
    selection: Selection, count: int, places: list[str], most_read: int
) -> None:
    """The newest come in the order of their failures; no more is read than needed."""
    topic = Topic()
    found = _reader(topic, selection).newest(count)
    assert [dead_letter.position for dead_letter in found] == places
    assert topic.read_offsets <= most_read


def test_more_than_is_read_at_first() -> None:
    """As many are found as are requested, however many that is."""
    topic = Topic()
    found = _reader(topic).newest(5000)
    assert [dead_letter.offset for dead_letter in found[:-1]] == list(range(35_001, 40_000))


def test_left_out_dead_letters_are_counted_once() -> None:
    """Resolved ones are left out, and counted over all pieces that are read."""
    ledger = Ledger(_ID)
    for offset in (10_005, 39_999):
        ledger.add(Entry(_ID, 0, offset, Action.DISCARDED, "", None, "me", 1, "x"))
    reader = _reader(Topic(), Selection(reasons=frozenset({"rare"})), ledger)
    assert reader.newest(1) == []
    assert reader.coverage.left_out == {Action.DISCARDED: 1}
    part = Selection(offsets={0: (0, 40_000)})
    (dead_letter,) = _reader(Topic(), part, ledger).newest(1)
    assert dead_letter.offset == 39_998
    (dead_letter,) = _reader(Topic(), part, ledger, include_done=True).newest(1)
    assert dead_letter.offset == 39_999
