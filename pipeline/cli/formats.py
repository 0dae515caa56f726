"""How values are written for people and for programs: money, shares, times, durations.

On a terminal a value is written to be read: thousands are separated, sums are rounded to the minor
units of their currency. Piped, it is written to be parsed: exact, without separators.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, NamedTuple

from iso_4217 import Currency

from pipeline.core.timestamps import time_text
from pipeline.reconcile.revenue import exact_amount

NONE: Final = "-"
"""Shown on a terminal for a value that is unknown or absent."""
_DIGITS: Final = 200
"""More digits than any sum has: an amount has at most 30 before its point and 100 after it."""
_SECOND: Final = len("2026-11-23T15:22:00")
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


class Money(NamedTuple):
    """A sum and the code of its currency, or any other text for a sum without a currency."""

    amount: Decimal
    currency: str


def rounded(money: Money) -> str:
    """Format a sum rounded to the minor units of its currency (ISO 4217), such as `176,556.21`.

    A sum that would round to nothing, and one whose currency has no minor units, has all digits:
    what is not zero never reads as zero.
    """
    places = _minor_units(money.currency)
    if places is None:
        return _separated(exact_amount(money.amount))
    with localcontext(prec=_DIGITS, rounding=ROUND_HALF_EVEN):
        short = money.amount.quantize(Decimal(1).scaleb(-places))
    if money.amount and not short:
        return exact_amount(money.amount)
    return f"{short or abs(short):,f}"


def money_text(money: Money) -> str:
    """Format a rounded sum with its currency, such as `176,556.21 EUR`."""
    return f"{rounded(money)} {money.currency}"


def _separated(number: str) -> str:
    whole, point, places = number.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.removeprefix('-')):,}{point}{places}"


def _minor_units(currency: str) -> int | None:
    """Number of decimals of a currency; None for withdrawn ones, for metals and for other text."""
    known = Currency.__members__.get(currency)
    places: int | None = known.subunit_exp if known else None
    return places


def counted(number: int, noun: str) -> str:
    """Format a number with what it counts, such as `1 group` and `1,234 groups`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float) -> str:
    """Format a share, such as `12 %`; 0 and 100 are shown only when they are exact."""
    if 0 < share < 0.01:  # noqa: PLR2004  a percent
        return "<1 %"
    if 0.99 < share < 1:  # noqa: PLR2004  a percent
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


def moment(time: int | None) -> str:
    """Format epoch milliseconds to the second, as options take it: `2026-11-23T15:22:00Z`."""
    text = time_text(time)
    return f"{text[:_SECOND]}Z" if text else NONE


def span(first: int | None, last: int | None) -> str:
    """Format a time span; empty when its start or end is unknown."""
    return f"{moment(first)} to {moment(last)}" if time_text(first) and time_text(last) else ""


def duration(milliseconds: int) -> str:
    """Format a duration exactly, in the largest unit that gives a whole number, such as `90 s`."""
    for size, unit in _UNITS:
        if milliseconds % size == 0:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"


def about(seconds: float) -> str:
    """Format a duration approximately, in its two largest units, such as `2 h 5 min`."""
    left = round(seconds) * 1000
    parts: list[str] = []
    for size, unit in _UNITS:
        number, rest = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
            left = rest
    return " ".join(filter(None, parts[:2])) or "0 s"
