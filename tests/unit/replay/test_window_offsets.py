"""What people write as a window, and which offsets that is."""

from __future__ import annotations

import pytest

from pipeline.core.timestamps import DAY
from pipeline.errors import DataLossError
from pipeline.replay.plan import Part
from pipeline.replay.window_offsets import Bound, Extent, ranges, read_bound, why_empty

NOW = 1_700_000_000_000
FROM = Bound("t", time=NOW - DAY)
EARLIEST, LATEST = Bound("earliest"), Bound("latest")


def _parts(start: Bound, end: Bound, **extent: int) -> tuple[Part, ...]:
    known = {"begin": 0, "end": 100, "from_start": 40, "to_end": 60, **extent}
    return ranges("raw", {0: Extent(**known)}, start, end, lambda _: NOW).parts


def test_bounds_are_read_in_every_form() -> None:
    """A bound is a time, an age, offsets, or the word for no limit."""
    assert read_bound("earliest", "earliest", NOW) == EARLIEST
    assert read_bound("1d", "latest", NOW).time == NOW - DAY
    assert read_bound("-1d", "latest", NOW).time == NOW - DAY
    assert read_bound("0:5,2:7", "latest", NOW).offsets == {0: 5, 2: 7}


@pytest.mark.parametrize("text", ["latest", "0:1,0:2", "0:x", "soon", "2999-01-01"])
def test_wrong_bounds_are_rejected(text: str) -> None:
    """A bound that is malformed, names a partition twice, or is in the future is rejected."""
    with pytest.raises(ValueError, match=r"not a valid start or end|twice|future"):
        read_bound(text, "earliest", NOW)


def test_bounds_become_fixed_ranges() -> None:
    """Times and offsets become fixed ranges; an end before the start gives an empty one."""
    assert _parts(EARLIEST, LATEST) == (Part(0, 0, 100),)
    assert _parts(FROM, LATEST) == (Part(0, 40, 100),)
    assert _parts(FROM, Bound("t", time=NOW)) == (Part(0, 40, 60),)
    assert _parts(Bound("0:10", offsets={0: 10}), LATEST) == (Part(0, 10, 100),)
    assert _parts(FROM, Bound("t", time=NOW), to_end=30) == (Part(0, 40, 40),)


def test_partitions_that_are_not_named_are_left_out() -> None:
    """Offsets of some partitions select these partitions only."""
    extents = {n: Extent(0, 9, 0, 9) for n in range(3)}
    found = ranges("raw", extents, Bound("1:3", offsets={1: 3}), LATEST, lambda _: None)
    assert found.parts == (Part(1, 3, 9),)


def test_deleted_start_is_a_warning() -> None:
    """A start that retention has deleted is a warning with the lost range."""
    extents = {0: Extent(50, 100, 50, 100)}
    by_offset = ranges("raw", extents, Bound("0:10", offsets={0: 10}), LATEST, lambda _: NOW)
    assert by_offset.parts == (Part(0, 50, 100),)
    assert "offsets 10 to 49 were deleted" in by_offset.warnings[0]
    by_time = ranges("raw", extents, FROM, LATEST, lambda _: NOW)
    assert "nothing is left from" in by_time.warnings[0]
    microseconds = ranges("raw", extents, FROM, LATEST, lambda _: NOW * 1000)
    assert "the time of that record is unknown" in microseconds.warnings[0]
    assert ranges("raw", extents, FROM, LATEST, lambda _: NOW - 2 * DAY).warnings == ()
    assert "deleted all before 50" in ranges("raw", extents, EARLIEST, LATEST, lambda _: 1).notes[0]


def test_offsets_that_do_not_exist_are_rejected() -> None:
    """Partitions and offsets that do not exist, and ends before starts, are rejected."""
    extents = {0: Extent(0, 9, 0, 9)}
    with pytest.raises(ValueError, match="no partition 4"):
        ranges("raw", extents, Bound("4:1", offsets={4: 1}), LATEST, lambda _: None)
    with pytest.raises(ValueError, match="must be below"):
        ranges(
            "raw", extents, Bound("a", offsets={0: 5}), Bound("b", offsets={0: 4}), lambda _: None
        )
    with pytest.raises(DataLossError, match="no offset 10"):
        ranges("raw", extents, Bound("a", offsets={0: 10}), LATEST, lambda _: None)


@pytest.mark.parametrize(
    ("extent", "reason"),
    [
        (Extent(5, 5, 5, 5), "has no records"),
        (Extent(0, 9, 9, 9), "are older"),
        (Extent(0, 9, 0, 0), "or later"),
        (Extent(0, 9, 4, 4), "between"),
    ],
)
def test_empty_window_says_why(extent: Extent, reason: str) -> None:
    """An empty partition of a window has a reason."""
    assert reason in why_empty("raw", extent, FROM, Bound("t", time=NOW))
