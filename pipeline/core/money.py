"""Reads `revenue`, `value` and `currency` (contract §3): exact decimals, no floats, no guesses."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, NamedTuple, final

from pipeline.core.json_value import JsonValue
from pipeline.core.record import new_tuple

COLUMN_DECIMALS = 9
"""Decimal places of a typed column, decimal(38, 9)."""
LIMIT: Final = 10**29
"""Magnitude that every amount must be below: what fits into a decimal(38, 9) column."""
MIN_EXPONENT = -100
"""Smallest exponent of an amount. It bounds the work on numbers such as 1e-1000000."""
AMOUNT_PATTERN = r"\$?[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?"
"""Matches one plain decimal number. Thousands separators and decimal commas are rejected, since
other products silently corrupt them ("1.234,56" → 1.234); leading zeros, since they belong to an
identifier ("00420")."""
MAX_VALUE_DIGITS = 15
"""Digits that a `value` in text may have. Any number of 15 digits survives a reader that uses
doubles; an identifier with more of them would not."""

_AMOUNT = re.compile(AMOUNT_PATTERN)
_SHORT_TEXT = re.compile(rb'"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"')
_POINT_FIRST = re.compile(r"(?<![0-9])\.")
_POINT_LAST = re.compile(r"\.(?![0-9])")
_NINE_PLACES = Decimal(1).scaleb(-COLUMN_DECIMALS)
# The longest amount that is compared has 30 digits before the point and 100 after it.
_EXACT = Context(prec=140, rounding=ROUND_HALF_EVEN)
_LIMIT_DIGITS = len(str(LIMIT))
_CODE_LENGTH = 3
_SHORT: Final = len("0.") + COLUMN_DECIMALS
_NUMBER_STARTS: Final = b"-0123456789"
_E: Final = ord("e")
_CAPITAL_E: Final = ord("E")


class Amount(NamedTuple):
    """A valid amount."""

    number: int | Decimal
    from_text: bool
    """Whether it was sent as text."""
    rounds: bool
    """Whether it has more than nine decimals, so that a decimal(38, 9) column rounds it."""
    json: str
    """The number in JSON with the digits of the text that was sent; empty if a number was sent."""


@final
class BadAmount(NamedTuple):
    """An invalid amount."""

    detail: str
    """Explanation that follows the name of the property."""


def is_set(value: JsonValue) -> bool:
    """Whether a property is set: absent, null, "" and white space all mean that it is not."""
    return value is not None and not (type(value) is str and (not value or value.isspace()))


def is_short_number(sent: bytes) -> bool:
    """Whether JSON text is a number so short that it is a valid amount which no column rounds.

    Almost every amount is. Looking at the digits of a `Decimal` takes several times as long.
    """
    return (
        len(sent) <= _SHORT
        and sent[0] in _NUMBER_STARTS
        and _E not in sent
        and _CAPITAL_E not in sent
    )


def read_short_text(sent: bytes) -> Amount | None:
    """Read JSON text that holds a short number as almost all senders write one; None otherwise."""
    if len(sent) > _SHORT + len('""') or _SHORT_TEXT.fullmatch(sent) is None:
        return None
    text = sent[1:-1].decode()
    number = Decimal(text) if "." in text else int(text)
    return new_tuple(Amount, (number, True, False, text))


def read_amount(value: JsonValue) -> Amount | BadAmount:
    """Read a `revenue` that is set."""
    if type(value) is int:
        if -LIMIT < value < LIMIT:
            return Amount(value, from_text=False, rounds=False, json="")
        return _TOO_LARGE
    if type(value) is Decimal:
        return _from_decimal(value, "")
    if type(value) is str:
        return _from_text(value.strip())
    return _NOT_A_NUMBER


def _from_text(sent: str) -> Amount | BadAmount:
    if not _AMOUNT.fullmatch(sent):
        return _NOT_PLAIN
    text = _as_json(sent.lstrip("$+"))
    if is_short_number(text.encode()):
        number = Decimal(text) if "." in text else int(text)
        return Amount(number, from_text=True, rounds=False, json=text)
    return _from_decimal(Decimal(text), text)


def read_short_amount(value: JsonValue) -> Amount | BadAmount:
    """Read a `value` that is set. Text that holds a longer number is left alone."""
    amount = read_amount(value)
    if type(amount) is Amount and amount.from_text and _digits(amount.number) > MAX_VALUE_DIGITS:
        return _TOO_MANY_DIGITS
    return amount


def _digits(number: int | Decimal) -> int:
    return len(Decimal(number).as_tuple().digits)


def _from_decimal(value: Decimal, text: str) -> Amount | BadAmount:
    """The amount of a number, which text states with the digits `text` unless that is empty."""
    exponent, magnitude = value.as_tuple().exponent, value.adjusted()
    # The decoder reads a number with an exponent beyond all bounds as infinity.
    if not isinstance(exponent, int) or (magnitude > _LIMIT_DIGITS and value):
        return _TOO_LARGE
    if exponent < MIN_EXPONENT:
        return _TOO_SMALL
    column = column_amount(value) if value else value
    # abs() would round to the 28 digits of the default context.
    if column.copy_abs() >= LIMIT:
        return _TOO_LARGE
    # An integer in text becomes an int, so that "-0" reads as 0, like -0 in JSON.
    number = int(value) if exponent == 0 else value
    return Amount(number, bool(text), column != value, text)


def column_amount(amount: Decimal) -> Decimal:
    """A valid amount as a decimal(38, 9) column holds it, rounded half to even."""
    return amount.quantize(_NINE_PLACES, context=_EXACT)


def _as_json(text: str) -> str:
    """Spell a plain number as JSON does: with digits on both sides of a point."""
    return _POINT_LAST.sub("", _POINT_FIRST.sub("0.", text)) if "." in text else text


def read_currency(value: JsonValue, codes: frozenset[str]) -> str | None:
    """Upper-case code of a currency that is set; None when it is not an accepted code."""
    if type(value) is not str:
        return None
    if value in codes:
        return value
    text = value.strip()
    # ASCII only, since the upper case of a dotless i is "I".
    if len(text) != _CODE_LENGTH or not text.isascii():
        return None
    code = text.upper()
    return code if code in codes else None


_NOT_A_NUMBER = BadAmount("must be a number, or text that holds one plain decimal number")
_NOT_PLAIN = BadAmount(
    "is text, but not one plain decimal number such as 19.99 "
    "(no thousands separators, decimal commas, leading zeros or currency signs but a leading $)"
)
_TOO_MANY_DIGITS = BadAmount(
    f"is text with more than {MAX_VALUE_DIGITS} digits, so it may be an identifier"
)
_TOO_LARGE = BadAmount("has a magnitude of 10^29 or more")
_TOO_SMALL = BadAmount("has an exponent below -100")
