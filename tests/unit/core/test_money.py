"""Amounts as they are read, and as they are written when they came as text (contract §3)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.money import (
    AMOUNT_PATTERN,
    Amount,
    BadAmount,
    read_amount,
    read_short_amount,
    read_short_text,
)


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("19.99", "19.99"),
        (" $19.90 ", "19.90"),
        ("+19.99", "19.99"),
        ("$+5", "5"),
        ("$-5", "-5"),
        ("-0", "-0"),
        (".5", "0.5"),
        ("$-.50", "-0.50"),
        ("5.", "5"),
        ("5.e3", "5e3"),
        (".5E+3", "0.5E+3"),
        ("1e3", "1e3"),
        ("1E-05", "1E-05"),
    ],
)
def test_digits_of_text_are_written(sent: str, written: str) -> None:
    """The digits stay as they were sent; only what JSON does not allow goes."""
    amount = read_amount(sent)
    assert isinstance(amount, Amount)
    assert (amount.json, amount.from_text) == (written, True)
    assert json.loads(written, parse_float=Decimal) == amount.number


@given(st.from_regex(AMOUNT_PATTERN, fullmatch=True))
def test_every_amount_in_text_becomes_a_json_number(sent: str) -> None:
    """Whatever text is read as an amount, what is written is JSON of the same value."""
    amount = read_amount(sent)
    if isinstance(amount, Amount):
        assert json.loads(amount.json, parse_float=Decimal) == amount.number


@pytest.mark.parametrize("sent", [5, Decimal("19.90"), Decimal("1E+3")])
def test_numbers_are_not_written_anew(sent: int | Decimal) -> None:
    """A number that was sent as one keeps its own bytes."""
    amount = read_amount(sent)
    assert isinstance(amount, Amount)
    assert (amount.json, amount.from_text) == ("", False)


@pytest.mark.parametrize("name", ["Infinity", "-Infinity"])
def test_numbers_beyond_all_bounds_are_too_large(name: str) -> None:
    """An exponent that can't be held reads as infinity: an amount too large, and no error."""
    for read in (read_amount, read_short_amount):
        assert read(Decimal(name)) == BadAmount("has a magnitude of 10^29 or more")


@pytest.mark.parametrize("sent", ["123456789012345", "0.00123456789012345", "$-1.2e10", "0"])
def test_short_text_is_a_value(sent: str) -> None:
    """Text of up to 15 digits is read like that of a revenue."""
    assert read_short_amount(sent) == read_amount(sent)
    assert isinstance(read_short_amount(sent), Amount)


@pytest.mark.parametrize("sent", ["1234567890123456", "1000000000000000", "1.000000000000000"])
def test_long_text_is_no_value(sent: str) -> None:
    """Text of more digits may be an identifier; the same as a number is an amount."""
    bad = read_short_amount(sent)
    assert isinstance(bad, BadAmount)
    assert "15 digits" in bad.detail
    assert isinstance(read_amount(sent), Amount)
    assert isinstance(read_short_amount(Decimal(sent)), Amount)


def test_megabytes_are_read_at_once() -> None:
    """Text of a megabyte is judged without work that grows faster than its length."""
    many = 1_000_000
    for text in ("9" * many, "0." + "0" * many + "1", "1e" + "9" * many, "$" * many, "." * many):
        assert isinstance(read_short_amount(text), BadAmount)


@given(
    st.one_of(
        st.from_regex(r"-?[0-9]{0,12}\.?[0-9]{0,12}", fullmatch=True),
        st.sampled_from(["0", "00", "1.", ".5", "$5", "+5", "1e3", "1,5", " 5", "", "0.0", "٣"]),
    )
)
def test_short_text_is_read_as_any_other(sent: str) -> None:
    """The quick way knows the usual spellings alone, and makes of them what the rules make."""
    amount = read_short_text(json.dumps(sent, ensure_ascii=False).encode())
    if amount is not None:
        assert amount == read_amount(sent)
        assert amount == read_short_amount(sent)
        assert type(amount.number) is type(Decimal(sent) if "." in sent else 0)


def test_usual_text_is_short_text() -> None:
    """What shops send goes the quick way, however long a number may be in it."""
    for sent in ("49.99", "0.5", "12345678901", "123456.7890"):
        assert read_short_text(b'"%b"' % sent.encode()) == read_amount(sent)
    for sent in ("123456789012", "1.0123456789", "-5", "05", "5."):
        assert read_short_text(b'"%b"' % sent.encode()) is None
