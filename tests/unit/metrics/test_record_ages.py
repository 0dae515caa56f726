"""The age of the oldest record that is not committed: busy, idle, stalled, with odd clocks."""

from __future__ import annotations

import pytest

from pipeline.core.record import Record
from pipeline.metrics.record_ages import RecordAges
from pipeline.ports import Lag

NOW = 1_800_000_000_000
LATER = NOW + 6_000


def _record(partition: int, timestamp: int | None, offset: int = 0) -> Record:
    return Record(b"{}", None, (), timestamp, "raw", partition, offset)


def _lag(**ends: tuple[int, int]) -> Lag:
    """Keywords such as p0=(position, end)."""
    places = {int(name[1:]): place for name, place in ends.items()}
    return Lag.between(
        {number: position for number, (position, _) in places.items()},
        {number: end for number, (_, end) in places.items()},
    )


@pytest.fixture
def ages() -> RecordAges:
    """Of a session that has read nothing yet."""
    return RecordAges()


def test_first_record_that_was_read_decides(ages: RecordAges) -> None:
    """The first record of a partition is its oldest until it is committed."""
    ages.collected([_record(0, NOW - 5000), _record(0, NOW), _record(1, NOW - 1000)], NOW)
    assert ages.ages(NOW) == {0: 5.0, 1: 1.0}
    ages.committed([0])
    assert ages.ages(NOW) == {1: 1.0}


def test_records_that_do_not_arrive_count_from_when_they_were_seen(ages: RecordAges) -> None:
    """A partition that stalls ages, though nobody can read its record."""
    ages.lagging(_lag(p0=(5, 9), p1=(7, 7)), NOW)
    ages.lagging(_lag(p0=(5, 12), p1=(7, 7)), NOW + 2000)
    assert ages.ages(NOW + 3000) == {0: 3.0}
    ages.lagging(_lag(p0=(8, 12), p1=(7, 7)), NOW + 4000)
    assert ages.ages(NOW + 4000) == {0: 0.0}


def test_look_up_replaces_the_estimate(ages: RecordAges) -> None:
    """After a while the topic itself is asked; markers alone are no waiting record."""
    lag = _lag(p0=(5, 9), p1=(3, 4))
    ages.lagging(lag, NOW)
    assert ages.to_look_up(NOW) == {}
    assert ages.to_look_up(LATER) == {0: 5, 1: 3}
    ages.found({0: 5, 1: 3}, {0: NOW - 60_000, 1: None})
    ages.lagging(lag, LATER)
    assert ages.ages(LATER) == {0: 66.0, 1: 0.0}
    ages.lagging(_lag(p0=(6, 9), p1=(3, 4)), LATER)
    assert ages.ages(LATER) == {0: 0.0, 1: 0.0}


def test_partition_of_which_nothing_is_known_keeps_its_estimate(ages: RecordAges) -> None:
    """One without a leader is left out of the answer."""
    ages.lagging(_lag(p0=(5, 9)), NOW)
    ages.found({0: 5}, {})
    assert ages.ages(LATER) == {0: 6.0}


@pytest.mark.parametrize("timestamp", [NOW + 3_600_000, None, 0, -1])
def test_age_is_never_negative(ages: RecordAges, timestamp: int | None) -> None:
    """Clocks differ, senders choose timestamps, and some records have none."""
    ages.collected([_record(0, timestamp)], NOW)
    assert ages.ages(NOW) == {0: 0.0}


def test_partitions_of_others_are_forgotten(ages: RecordAges) -> None:
    """What was revoked is another worker's, and nothing is left of a session that was closed."""
    ages.collected([_record(0, NOW), _record(1, NOW)], NOW)
    ages.lagging(_lag(p1=(0, 5)), NOW)
    assert set(ages.ages(NOW)) == {1}
    ages.forget()
    assert ages.ages(NOW) == {}


def test_clock_that_is_set_back_hides_no_waiting_record(ages: RecordAges) -> None:
    """An estimate counts from the earlier time, so it grows again and is looked up soon."""
    ages.lagging(_lag(p0=(5, 9)), NOW)
    ages.lagging(_lag(p0=(5, 9)), NOW - 3_600_000)
    assert ages.ages(NOW - 3_600_000 + 7_000) == {0: 7.0}
    assert ages.to_look_up(NOW - 3_600_000 + 7_000) == {0: 5}
