"""The generated encoder writes what fastavro writes, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avro.encoder_source import EncoderSource
from pipeline.avro.published import parsed
from pipeline.errors import SchemaFileError
from tests.unit.avro.encoding import written_by_fastavro

MAX_MS: Final = 253_402_300_799_999
MIN_MS: Final = -62_135_596_800_000
TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}
AMOUNT: Final = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}
NULL: Final = "null"
EDGES: Final = (0, -1, 8191, 8192, 8193, -8192, -8193, 2**20, 2**62, 2**63 - 1, -(2**63))

texts: Final = st.text(st.characters(codec="utf-8"), max_size=80)
times: Final = st.one_of(st.sampled_from(EDGES), st.integers(MIN_MS, MAX_MS))
amounts: Final = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(lambda number: Decimal(f"{number}e-9")),
    st.sampled_from(
        [Decimal(n) for n in ("0", "-0", "0.0", "1e-9", "-0.000000128", "12.8", "1e9")]
    ),
)


class Typed(NamedTuple):
    """An Avro type, and values of it."""

    schema: Any
    values: st.SearchStrategy[Any]


def _encoder(text: str) -> Callable[[dict[str, Any]], bytes]:
    source = EncoderSource(text)
    return source.compiled(source.add_record(source.schema))


def _of_record(schema: Any, value: Any) -> tuple[str, dict[str, Any]]:
    record = {"type": "record", "name": "test.Root", "fields": [{"name": "field", "type": schema}]}
    return json.dumps(record), {"field": value}


def _written(schema: Any, value: Any) -> bytes:
    text, record = _of_record(schema, value)
    return _encoder(text)(record)


def _expected(schema: Any, value: Any) -> bytes:
    text, record = _of_record(schema, value)
    return written_by_fastavro(parsed(text), record)


def _leaves() -> list[Typed]:
    return [
        Typed("string", texts),
        Typed("boolean", st.booleans()),
        Typed(TIME, times),
        Typed(AMOUNT, amounts),
    ]


def _optional(inner: Typed, *, null_first: bool) -> Typed:
    schema = [NULL, inner.schema] if null_first else [inner.schema, NULL]
    return Typed(schema, st.none() | inner.values)


def _enum(name: str) -> Typed:
    symbols = ["GIVEN", "CORRECTED", "ORIGINAL"]
    return Typed({"type": "enum", "name": name, "symbols": symbols}, st.sampled_from(symbols))


def _record(name: str, inner: list[Typed]) -> Typed:
    names = [f"field{number}" for number in range(len(inner))]
    fields = [
        {"name": each, "type": typed.schema} for each, typed in zip(names, inner, strict=True)
    ]
    values = {each: typed.values for each, typed in zip(names, inner, strict=True)}
    return Typed({"type": "record", "name": name, "fields": fields}, st.fixed_dictionaries(values))


@st.composite
def _types(draw: st.DrawFn, numbers: count[int], depth: int = 3) -> Typed:
    kinds = ["leaf", "enum", *(["array", "map", "record"] if depth else [])]
    kind, typed = draw(st.sampled_from(kinds)), draw(st.sampled_from(_leaves()))
    inner = _types(numbers, depth - 1)
    if kind == "enum":
        typed = _enum(f"test.E{next(numbers)}")
    elif kind == "array":
        items = draw(inner)
        typed = Typed({"type": "array", "items": items.schema}, st.lists(items.values, max_size=3))
    elif kind == "map":
        each = draw(inner)
        values = st.dictionaries(texts, each.values, max_size=3)
        typed = Typed({"type": "map", "values": each.schema}, values)
    elif kind == "record":
        typed = _record(f"test.R{next(numbers)}", draw(st.lists(inner, max_size=4)))
    return _optional(typed, null_first=draw(st.booleans())) if draw(st.booleans()) else typed


@given(st.data())
def test_records_of_any_schema_are_written_like_fastavro(data: st.DataObject) -> None:
    """Bytes are equal for all types that an output may have, and all nestings of them."""
    typed = data.draw(_types(count()))
    value = data.draw(typed.values)
    assert _written(typed.schema, value) == _expected(typed.schema, value)


@pytest.mark.parametrize("schema", [TIME, [NULL, TIME], [TIME, NULL]], ids=str)
@pytest.mark.parametrize("ms", [*EDGES, MIN_MS, MAX_MS, 1_449_947_461_266, -1_449_947_461_266])
def test_times_of_all_sizes_are_written_like_fastavro(schema: Any, ms: int) -> None:
    """Negative ones and the limits of 64 bits are written as well as today's."""
    assert _written(schema, ms) == _expected(schema, ms)


@pytest.mark.parametrize("schema", ["string", [NULL, "string"]], ids=str)
@pytest.mark.parametrize("size", [0, 1, 63, 64, 8191, 8192, 1_048_575, 1_048_576])
def test_texts_of_all_lengths_are_written_like_fastavro(schema: Any, size: int) -> None:
    """Lengths of one to four bytes are written, those that are kept and those that are not."""
    for text in ("x" * size, "é" * (size // 2)):
        assert _written(schema, text) == _expected(schema, text)


@pytest.mark.parametrize(
    ("sent", "rounded"),
    [
        ("0.0000000005", "0"),
        ("0.0000000015", "0.000000002"),
        ("0.0000000025", "0.000000002"),
        ("0.00000000250000000000000000000000000000000000001", "0.000000003"),
        ("-1.9999999995", "-2.000000000"),
        ("99999999999999999999999999999.9999999994", "99999999999999999999999999999.999999999"),
        ("1e-100", "0"),
    ],
)
def test_amounts_are_rounded_half_even_to_nine_places(sent: str, rounded: str) -> None:
    """Digits beyond the places of the column are rounded once, not twice."""
    assert _written([NULL, AMOUNT], Decimal(sent)) == _expected([NULL, AMOUNT], Decimal(rounded))


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, 10**29 - 1, -(10**29) + 1])
def test_integers_are_amounts_as_well(number: int) -> None:
    """An integer is written as the decimal that it equals."""
    assert _written([NULL, AMOUNT], number) == _expected([NULL, AMOUNT], Decimal(number))


@pytest.mark.parametrize(
    "number",
    [
        10**29,
        -(10**29),
        *map(Decimal, ("1e29", "1e400", "99999999999999999999999999999.9999999995")),
        *map(Decimal, ("NaN", "sNaN", "-Infinity")),
    ],
    ids=str,
)
def test_amounts_that_do_not_fit_are_null(number: int | Decimal) -> None:
    """Beyond 38 digits there is no amount in the column, and no event is lost for it."""
    assert _written([NULL, AMOUNT], number) == _expected([NULL, AMOUNT], None)
    assert _written([AMOUNT, NULL], number) == _expected([AMOUNT, NULL], None)
    with pytest.raises(ValueError, match=r"does not fit a decimal\(38, 9\)"):
        _written(AMOUNT, number)


def test_missing_members_are_written_as_their_defaults() -> None:
    """A member without a value is null, or what the schema says."""
    fields = [
        {"name": "optional", "type": [NULL, "string"], "default": None},
        {"name": "nullable", "type": [NULL, TIME]},
        {"name": "flag", "type": "boolean", "default": False},
        {"name": "list", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "word", "type": "string", "default": "none"},
    ]
    text = json.dumps({"type": "record", "name": "R", "fields": fields})
    assert _encoder(text)({}) == written_by_fastavro(parsed(text), {})


def test_a_record_may_hold_itself() -> None:
    """A type that is named before its end is the same function."""
    fields = [{"name": "name", "type": "string"}, {"name": "next", "type": [NULL, "test.Node"]}]
    text = json.dumps({"type": "record", "name": "test.Node", "fields": fields})
    record = {"name": "a", "next": {"name": "b", "next": {"name": "c", "next": None}}}
    assert _encoder(text)(record) == written_by_fastavro(parsed(text), record)


@pytest.mark.parametrize(
    "schema",
    [
        "int",
        "long",
        "double",
        "bytes",
        NULL,
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "fixed", "name": "F", "size": 16},
        {"type": "fixed", "name": "F", "size": 16, "logicalType": "decimal", "precision": 9},
        ["string", "boolean"],
        [NULL, "string", "boolean"],
        [NULL, "int"],
        {"type": "array", "items": "float"},
        {"type": "map", "values": "int"},
    ],
    ids=json.dumps,
)
def test_types_that_no_output_has_are_refused(schema: Any) -> None:
    """One sentence names the type."""
    with pytest.raises(SchemaFileError, match="the encoder can't write values of the Avro type"):
        _written(schema, None)


@pytest.mark.parametrize(
    "text", ["", "{", '{"type": "record"}', '"string"', "[]", '{"type": "no"}']
)
def test_texts_that_are_no_schema_of_a_record_are_refused(text: str) -> None:
    """An encoder is made for a record, or not at all."""
    with pytest.raises(SchemaFileError):
        _encoder(text)
