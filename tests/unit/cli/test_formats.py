"""Money, shares, times and durations as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.cli.formats import (
    Money,
    about,
    duration,
    moment,
    money_text,
    percent,
    rounded,
    span,
)
from pipeline.reconcile.revenue import exact_amount

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("amount", "currency", "screen", "pipe"),
    [
        ("176556.20999999999999", "EUR", "176,556.21", "176556.20999999999999"),
        ("17213", "EUR", "17,213.00", "17213.00"),
        ("1234.5", "JPY", "1,234", "1234.50"),
        ("1235.5", "JPY", "1,236", "1235.50"),
        ("1.2345", "KWD", "1.234", "1.2345"),
        ("-0.10", "EUR", "-0.10", "-0.10"),
        ("-1234567.891", "EUR", "-1,234,567.89", "-1234567.891"),
        ("0", "EUR", "0.00", "0.00"),
        ("-0.000", "EUR", "0.00", "0.00"),
        ("0.000000001", "EUR", "0.000000001", "0.000000001"),
        ("-0.004", "EUR", "-0.004", "-0.004"),
        ("1E+3", "EUR", "1,000.00", "1000.00"),
        ("1234.56789", "DEM", "1,234.56789", "1234.56789"),
        ("-1234.5", "(none)", "-1,234.50", "-1234.50"),
        (f"{'9' * 30}.{'9' * 100}", "XAU", "", f"{'9' * 30}.{'9' * 100}"),
        (f"{'9' * 29}.004", "EUR", f"{int('9' * 29):,}.00", f"{'9' * 29}.004"),
    ],
)
def test_money_is_rounded_on_screen_and_exact_in_a_pipe(
    amount: str, currency: str, screen: str, pipe: str
) -> None:
    """By the currency's minor units; but no sum that is not zero reads as zero."""
    money = Money(Decimal(amount), currency)
    assert exact_amount(money.amount) == pipe
    if screen:
        assert rounded(money) == screen
        assert money_text(money) == f"{screen} {currency}"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.999, ">99 %"), (1, "100 %")],
)
def test_shares_are_not_more_certain_than_they_are(share: float, text: str) -> None:
    """Nothing and everything are said only when they are exactly that."""
    assert percent(share) == text


def test_times_have_a_year_and_can_be_given_back_to_an_option() -> None:
    """To the second, in UTC; a dash for a time that is not known or none."""
    assert moment(1_450_000_000_123) == "2015-12-13T09:46:40Z"
    assert moment(None) == moment(10**18) == "-"
    assert span(0, DAY_MS) == "1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z"
    assert not span(None, 1)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 d"), (90_000, "90 s"), (240_000, "4 min"), (7_200_000, "2 h"), (1500, "1500 ms")],
)
def test_settings_of_time_are_shown_exactly(milliseconds: int, text: str) -> None:
    """In the largest unit that gives a whole number."""
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7500, "2 h 5 min"),
        (7503, "2 h 5 min"),
        (86_400 * 2 + 59, "2 d"),
    ],
)
def test_time_that_is_left_is_shown_in_two_units(seconds: float, text: str) -> None:
    """Nobody needs the seconds of two days."""
    assert about(seconds) == text
