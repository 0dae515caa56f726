"""Values of Avro become exact JSON."""

from __future__ import annotations

import json
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avro.schema_source import WriterSchema
from pipeline.core.reasons import Invalid
from tests.unit.avro.schemas_of_records import (
    EVENT,
    body,
    read_body,
    record_of,
    text_of_value,
)


def decimal_of(scale: int, precision: int = 38) -> dict[str, Any]:
    """Return the type of a decimal in bytes."""
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def logical(kind: str, name: str) -> dict[str, Any]:
    """Return a logical type."""
    return {"type": kind, "logicalType": name}


def field(kind: Any, value: Any) -> str:
    """Return the JSON text of one field of that type."""
    text = text_of_value(record_of(x=kind), {"x": value})
    assert text.startswith('{"x":')
    return text[5:-1]


def bytes_of_field(kind: Any, data: bytes) -> str:
    """Return the JSON text of one field whose bytes are given."""
    text = read_body(record_of(x=kind), data)
    assert isinstance(text, bytes), text
    return text.decode()[5:-1]


def test_an_event_keeps_names_and_order() -> None:
    """Records are objects with the fields as they are named, in the schema's order."""
    value = {
        "event": "Order Completed",
        "userId": None,
        "properties": {"revenue": Decimal("19.90"), "currency": "EUR", "tags": ["a", "b"]},
    }
    assert text_of_value(EVENT, value) == (
        '{"event":"Order Completed","userId":null,"properties":'
        '{"revenue":19.90,"currency":"EUR","tags":["a","b"]}}'
    )


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("null", None, "null"),
        ("boolean", True, "true"),
        ("int", -(2**31), "-2147483648"),
        ("long", 2**63 - 1, "9223372036854775807"),
        ("long", -(2**63), "-9223372036854775808"),
        ("double", 0.1, "0.1"),
        ("double", 19.0, "19.0"),
        ("double", 1.7976931348623157e308, "1.7976931348623157e308"),
        ("float", 0.1, "0.1"),
        ("float", 19.99, "19.99"),
        ("float", 3.4028234663852886e38, "3.4028235e38"),
        ("float", 1.401298464324817e-45, "1e-45"),
        ("string", 'a"\\\n\0é😀', '"a\\"\\\\\\n\\u0000é😀"'),
        ("string", "x" * 100_000, '"' + "x" * 100_000 + '"'),
        ("bytes", b"a\x00\xff", '"a\\u0000ÿ"'),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x01\xe9", '"\\u0001é"'),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", '"B"'),
        ({"type": "array", "items": "int"}, [], "[]"),
        ({"type": "array", "items": "int"}, [1, 2, 3], "[1,2,3]"),
        ({"type": "map", "values": "int"}, {}, "{}"),
        ({"type": "map", "values": ["null", "int"]}, {"a": 1, "b": None}, '{"a":1,"b":null}'),
        (["null", "string", "long"], 5, "5"),
        (["string", "null"], None, "null"),
        (["string", "null"], "s", '"s"'),
    ],
)
def test_values_are_exact(kind: Any, value: Any, text: str) -> None:
    """Each type has one form, with every digit and character."""
    assert field(kind, value) == text


@pytest.mark.parametrize(
    ("number", "scale", "text"),
    [
        ("0", 0, "0"),
        ("0", 9, "0.000000000"),
        ("19.9", 2, "19.90"),
        ("-0.05", 2, "-0.05"),
        ("-1", 0, "-1"),
        ("12345678901234567890123456789.123456789", 9, "12345678901234567890123456789.123456789"),
    ],
)
def test_decimals_keep_all_digits(number: str, scale: int, text: str) -> None:
    """A decimal is the number with as many places as its scale."""
    assert field(decimal_of(scale), Decimal(number)) == text
    fixed = {**decimal_of(scale), "type": "fixed", "name": "D", "size": 20}
    assert field(fixed, Decimal(number)) == text


def test_more_digits_than_the_precision_are_kept() -> None:
    """The bytes count, as in Java: the precision is what the writer promised."""
    assert bytes_of_field(decimal_of(2, 4), b"\x08\x7f\xff\xff\xff") == "21474836.47"


@pytest.mark.parametrize("precision", [None, 0, "9", -1])
def test_a_decimal_that_is_none_is_bytes(precision: Any) -> None:
    """Avro ignores a logical type that is not valid; what the parser refuses is one sentence."""
    kind = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 1}
    read = read_body(record_of(x=kind), b"\x02a")
    assert read == b'{"x":"a"}' or "no Avro schema" in _detail(read)


def _detail(read: bytes | Invalid) -> str:
    assert isinstance(read, Invalid), read
    return read.violations[0].detail


MOMENT = datetime(2015, 12, 12, 19, 11, 1, 266_123, UTC)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (logical("long", "timestamp-millis"), MOMENT, "2015-12-12T19:11:01.266Z"),
        (logical("long", "timestamp-micros"), MOMENT, "2015-12-12T19:11:01.266123Z"),
        (
            logical("long", "local-timestamp-millis"),
            MOMENT.replace(tzinfo=None),
            "2015-12-12T19:11:01.266",
        ),
        (
            logical("long", "local-timestamp-micros"),
            MOMENT.replace(tzinfo=None),
            "2015-12-12T19:11:01.266123",
        ),
        (logical("int", "date"), date(2015, 12, 12), "2015-12-12"),
        (logical("int", "date"), date(1, 1, 1), "0001-01-01"),
        (logical("int", "time-millis"), time(19, 11, 1, 266_000), "19:11:01.266"),
        (logical("long", "time-micros"), time(0, 0, 0, 1), "00:00:00.000001"),
        (logical("string", "uuid"), UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_times_are_text(kind: Any, value: Any, text: str) -> None:
    """Times have the form of ISO-8601 with the digits of their unit."""
    assert field(kind, value) == f'"{text}"'


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        (
            logical("long", "timestamp-nanos"),
            1_449_947_461_266_123_456,
            '"2015-12-12T19:11:01.266123456Z"',
        ),
        (logical("long", "local-timestamp-nanos"), -1, '"1969-12-31T23:59:59.999999999"'),
        (logical("long", "timestamp-millis"), 2**63 - 1, "9223372036854775807"),
        (logical("long", "timestamp-millis"), -62_135_596_800_001, "-62135596800001"),
        (logical("int", "date"), 2**31 - 1, "2147483647"),
        (logical("int", "time-millis"), 86_400_000, "86400000"),
        (logical("int", "time-millis"), -1, "-1"),
        (logical("int", "timestamp-millis"), 5, "5"),
        (logical("long", "unheard-of"), 5, "5"),
    ],
)
def test_what_is_no_such_time_stays_a_number(kind: Any, number: int, text: str) -> None:
    """Numbers beyond what a type is for, and unknown types, are kept as they are."""
    assert bytes_of_field(kind, body(kind["type"], number)) == text


def test_a_fixed_uuid_has_its_usual_form() -> None:
    """Sixteen bytes are a UUID when the schema says so."""
    kind = {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}
    text = '"89791762-2336-4186-9674-299b90a802e2"'
    assert bytes_of_field(kind, UUID(text.strip('"')).bytes) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_are_the_shortest_that_come_back(value: float) -> None:
    """A float of 32 bits is the same float when its text is read, in at most nine digits."""
    text = field("float", value)
    assert struct.pack("<f", float(text)) == struct.pack("<f", value)
    assert len(Decimal(text).normalize().as_tuple().digits) <= 9


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_the_same_number(value: float) -> None:
    """A double is the same double when its text is read."""
    assert struct.pack("<d", float(field("double", value))) == struct.pack("<d", value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_numbers_that_json_lacks_are_invalid(kind: str, number: float) -> None:
    """NaN and the infinities are rejected, with the field's name."""
    detail = _detail(read_body(record_of(x=kind), body(kind, number)))
    assert detail.startswith("not Avro of schema id 7:")
    assert detail.endswith("(byte 5, x)")


TREE = record_of(
    name="string",
    children={"type": "array", "items": "R"},
    next=["null", "R"],
    by={"type": "map", "values": "R"},
)


def test_recursive_schemas_are_read() -> None:
    """A type may contain itself through arrays, maps and unions."""
    leaf: dict[str, Any] = {"name": "leaf", "children": [], "next": None, "by": {}}
    value = {"name": "root", "children": [leaf, leaf], "next": leaf, "by": {"a": leaf}}
    assert json.loads(text_of_value(TREE, value)) == value


def test_references_are_resolved() -> None:
    """A schema may refer to others that the registry has, and these to others again."""
    money = {
        "type": "record",
        "name": "com.acme.Money",
        "fields": [{"name": "amount", "type": decimal_of(2)}],
    }
    order = {
        "type": "record",
        "name": "com.acme.Order",
        "fields": [{"name": "total", "type": "Money"}],
    }
    event = {
        "type": "record",
        "name": "com.acme.Event",
        "fields": [{"name": "order", "type": "com.acme.Order"}],
    }
    references = (("com.acme.Money", json.dumps(money)), ("com.acme.Order", json.dumps(order)))
    for text in (json.dumps(event), json.dumps(["null", event])):
        schema = WriterSchema("avro", text, references)
        data = (b"\x02" if text.startswith("[") else b"") + b"\x04\x07\xc6"
        assert read_body(schema, data) == b'{"order":{"total":{"amount":19.90}}}'
    schema = WriterSchema("avro", '"com.acme.Order"', references)
    assert read_body(schema, b"\x04\x07\xc6") == b'{"total":{"amount":19.90}}'


def test_blocks_of_arrays_and_maps_are_joined() -> None:
    """Items may come in several blocks, with or without their size in bytes."""
    array = record_of(x={"type": "array", "items": "int"})
    assert read_body(array, b"\x02\x02\x03\x04\x04\x06\x02\x08\x00") == b'{"x":[1,2,3,4]}'
    map_ = record_of(x={"type": "map", "values": "int"})
    assert read_body(map_, b"\x02\x02a\x02\x01\x06\x02b\x04\x00") == b'{"x":{"a":1,"b":2}}'
