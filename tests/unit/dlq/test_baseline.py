"""The good events that dead letters are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.dlq.baseline import MARGIN, Baseline, BaselineKind, around, like, newest, spread
from pipeline.dlq.contrast import GroupSample, Vocabulary
from pipeline.dlq.features import Feature
from pipeline.dlq.filters import Selection
from pipeline.ports import Ranges
from pipeline.progress import Progress
from tests.unit.dlq.dead_letters import NOW, enriched, event


def _library(text: str) -> set[Feature]:
    name, _, version = text.partition(" ")
    return {Feature("library", name), Feature("library version", name, version)}


def test_events_that_are_alike() -> None:
    """Alike are events of the names and libraries that dead letters were selected by."""
    android = {Feature("event", "A"), *_library("android 4.2")}
    is_like = like(Selection(events=frozenset({"A"}), libraries=frozenset({"android/4.2"})))
    assert is_like(android)
    assert not is_like({Feature("event", "B"), *_library("android 4.2")})
    assert not is_like({Feature("event", "A"), *_library("android 4.1")})
    assert like(Selection(libraries=frozenset({"android"})))(android)
    assert like(Selection())(set())
    scoped = like(Selection(libraries=frozenset({"@segment/node"})))
    assert scoped(_library("@segment/node 1"))
    assert not scoped(_library("@segment/go 1"))


class _Topic:
    """An enriched topic in memory: one event a second in each partition."""

    def __init__(self, partitions: int, events: int) -> None:
        self.partitions = {
            number: [
                enriched(event())._replace(timestamp=NOW + 1000 * i, partition=number, offset=i)
                for i in range(events)
            ]
            for number in range(partitions)
        }
        self.read_records = 0

    def extents(self, topic: str, *, stable: bool) -> dict[int, tuple[int, int]]:
        """See `baseline.Offsets`."""
        del topic
        assert stable, "no transaction that is open must be waited for"
        return {number: (0, len(records)) for number, records in self.partitions.items()}

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """See `baseline.Offsets`."""
        del topic
        found = {}
        for number, records in self.partitions.items():
            later = [r.offset for r in records if (r.timestamp or 0) >= time_ms]
            if later:
                found[number] = later[0]
        return found

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """See `ports.Reader`."""
        for (_, number), (first, end) in ranges.items():
            for record in self.partitions[number][first:end]:
                self.read_records += 1
                yield record


def _filled(topic: _Topic, window: Window) -> tuple[GroupSample, BaselineKind]:
    sample = GroupSample(10_000, Vocabulary())
    return sample, Baseline(topic, topic, "enriched").fill(sample, window)


def test_good_events_of_the_same_time() -> None:
    """All events within the window are taken from all partitions, and no others."""
    sample, compared = _filled(_Topic(2, 100), Window(NOW + 10_000, NOW + 20_000))
    assert compared is BaselineKind.SAME_TIME
    assert sorted({row.time for row in sample.rows}) == [NOW + 1000 * i for i in range(10, 20)]
    assert len(sample.rows) == 20


def test_times_that_are_not_in_order() -> None:
    """Between the offsets of a window there may be events of other times, which do not count."""
    topic = _Topic(1, 100)
    topic.partitions[0][15] = topic.partitions[0][15]._replace(timestamp=NOW - 1)
    sample, _ = _filled(topic, Window(NOW + 10_000, NOW + 20_000))
    assert len(sample.rows) == 9


def test_good_events_from_before() -> None:
    """Where all events of a time have failed, the ones before it are taken."""
    sample, compared = _filled(_Topic(2, 100), Window(NOW + 200_000, NOW + 300_000))
    assert compared is BaselineKind.EARLIER
    assert len(sample.rows) == 200
    assert _filled(_Topic(2, 100), Window(0, NOW - 1))[1] is BaselineKind.NONE
    assert _filled(_Topic(0, 0), Window(0, NOW))[1] is BaselineKind.NONE


@pytest.mark.slow
def test_reading_is_bounded() -> None:
    """However much there is, a bounded number is read, and progress is reported to the end."""
    topic, told = _Topic(3, 8000), list[Progress]()
    sample = GroupSample(10_000, Vocabulary())
    window = Window(NOW, NOW + 9_000_000)
    Baseline(topic, topic, "enriched").fill(sample, window, on_progress=told.append)
    assert 9_000 < topic.read_records <= 10_000 + 3 * 8
    assert (told[-1].done, told[-1].total) == (topic.read_records, topic.read_records)
    places = {int(row.position.partition("/")[2]) // 1000 for row in sample.rows}
    assert places == set(range(8))


def test_slices_are_spread() -> None:
    """A small topic is read completely, a large one in slices in proportion to partitions."""
    extents = {0: (100, 900), 1: (5, 5), 2: (0, 200)}
    assert spread("t", extents, 1000) == [
        {("t", 0): (100, 900), ("t", 1): (5, 5), ("t", 2): (0, 200)}
    ]
    parts = spread("t", extents, 100)
    sizes = {n: sum(part["t", n][1] - part["t", n][0] for part in parts) for n in extents}
    assert sizes == {0: 80, 1: 0, 2: 24}
    assert all(100 <= part["t", 0][0] <= part["t", 0][1] <= 900 for part in parts)
    assert newest("t", extents, 30) == [
        {("t", 0): (890, 900), ("t", 1): (5, 5), ("t", 2): (190, 200)}
    ]


def test_window_has_a_margin() -> None:
    """The time of the dead letters has a margin on both sides."""
    assert around(NOW, NOW) == Window(NOW - MARGIN, NOW + MARGIN + 1)
