"""Times as single values; the table of forms is in `values.py` (contract §4)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.timestamps import EPOCH, MAX_MS, MIN_MS, format_time, read_time

_seconds = st.datetimes(
    min_value=datetime(1000, 1, 1),  # noqa: DTZ001  the strategy adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.timezones(),
).map(lambda moment: moment.replace(microsecond=0))


@given(_seconds)
def test_dates_of_mail_are_read_as_the_standard_library_does(moment: datetime) -> None:
    """A date of RFC 5322 in any zone is read as Python's own library reads it."""
    text = format_datetime(moment.replace(tzinfo=UTC), usegmt=True)
    expected = parsedate_to_datetime(text)
    found = read_time(text)
    assert found is not None
    assert found[0] == (expected - EPOCH).total_seconds() * 1000


@given(_seconds)
def test_offsets_with_seconds_are_read(moment: datetime) -> None:
    """Text as Python writes it, also with the seconds that offsets had before 1900."""
    found = read_time(moment.isoformat())
    expected = (moment - EPOCH).total_seconds() * 1000
    if MIN_MS <= expected <= MAX_MS and not moment.utcoffset().microseconds:  # type: ignore[union-attr]
        assert found == (expected, format_time(int(expected)))


@pytest.mark.parametrize(
    ("year", "full"), [("00", "2000"), ("68", "2068"), ("69", "1969"), ("99", "1999")]
)
def test_years_of_two_digits(year: str, full: str) -> None:
    """Years 69 to 99 are of the last century, as in POSIX."""
    for text in (f"12 Dec {year} 19:11 GMT", f"Monday, 12-Dec-{year} 19:11:00 GMT"):
        found = read_time(text)
        assert found is not None
        assert found[1] == f"{full}-12-12T19:11:00.000Z"


@given(st.text() | st.from_regex(r"[A-Za-z]{0,9},? ?[0-9]{0,4}[ -][A-Za-z0-9:+ -]{0,30}"))
def test_any_text_is_read_or_not(text: str) -> None:
    """Nothing raises, and what is read is read again as the same."""
    found = read_time(text)
    if found is not None:
        assert read_time(found[1]) == found


@pytest.mark.parametrize(
    "value", [Decimal("Infinity"), Decimal("1e999999"), Decimal("1e-999999"), 10**4000, -1, 0]
)
def test_numbers_out_of_range_are_no_times(value: Any) -> None:
    """Numbers that take long to write in full are no exception."""
    assert read_time(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "Sat, " + " " * 1_000_000 + "12 Dec 2015 19:11:01 GMT",
        "12 Dec 2015" + " " * 1_000_000 + "19:11:01 GMT",
        "2015-12-12T19:11:01" + "+01:00" * 200_000,
        "2015-12-12T19:11:01." + "1" * 1_000_000,
        "1" * 1_000_000,
        "Sat, " * 200_000,
    ],
    ids=["spaces", "inner_spaces", "zones", "fraction", "digits", "days"],
)
def test_megabytes_are_no_times(text: str) -> None:
    """Long text is judged without work that grows faster than its length."""
    assert read_time(text) is None
