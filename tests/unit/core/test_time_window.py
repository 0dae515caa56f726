"""Windows of time as people write them."""

from __future__ import annotations

import pytest

from pipeline.core.time_window import ALL_TIME, Window, read_moment
from pipeline.core.timestamps import read_time

NOW = 1_760_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01T12:00Z", "2026-11-01T12:00:00.000Z"),
        ("2026-11-01T12:00+02:00", "2026-11-01T10:00:00.000Z"),
        ("2026-11-01T12:00:05", "2026-11-01T12:00:05.000Z"),
        ("1760000000", "2025-10-09T08:53:20.000Z"),
    ],
)
def test_times_are_read(text: str, moment: str) -> None:
    """Dates, times with and without a zone (UTC) and epoch seconds are accepted."""
    assert read_moment(text, NOW) == (read_time(moment) or (None,))[0]


@pytest.mark.parametrize(
    ("text", "before_now"),
    [("3d", 3 * 86_400_000), ("-3d", 3 * 86_400_000), ("90m", 5_400_000), ("1w", 604_800_000),
     ("10s", 10_000), ("2h", 7_200_000)],
)  # fmt: skip
def test_ages_are_read(text: str, before_now: int) -> None:
    """An age may have a minus sign."""
    assert read_moment(text, NOW) == NOW - before_now


def test_ages_end_at_1970() -> None:
    """Before 1970 there are no records."""
    assert read_moment("999999999w", NOW) == 1


@pytest.mark.parametrize("text", ["", "yesterday", "3 d", "3y", "1969-12-31", "2026-13-01", "d"])
def test_invalid_times_are_reported(text: str) -> None:
    """The message shows the valid forms."""
    with pytest.raises(ValueError, match="2026-11-01"):
        read_moment(text, NOW)


def test_what_a_window_holds() -> None:
    """From its start on, before its end; without bounds everything."""
    window = Window(10, 20)
    assert [window.holds(time) for time in (9, 10, 19, 20, None)] == [
        False, True, True, False, False
    ]  # fmt: skip
    assert ALL_TIME.holds(None)
    assert not ALL_TIME.is_bounded
