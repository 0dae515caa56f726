"""A few bytes can't make a reader of framed records work, or write, for longer than they should."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from pipeline.avro.binary import write_long
from pipeline.avro.framing import prefix_of_id
from pipeline.avro.schema_source import WriterSchema
from tests.unit.avro.schemas_of_records import (
    ID,
    body,
    read_body,
    reader_of,
    record_of,
    rejection,
)

EMPTY = {"type": "record", "name": "Empty", "fields": []}


@pytest.mark.parametrize(
    "items",
    [
        "null",
        EMPTY,
        {"type": "fixed", "name": "F", "size": 0},
        {**record_of(a="null", b=EMPTY), "name": "AllEmpty"},
    ],
)
def test_items_without_bytes_are_refused(items: Any) -> None:
    """A count is all that an array of them holds, so a few bytes would be any number of items."""
    schema = record_of(x={"type": "array", "items": items})
    code, detail = rejection(read_body(schema, b"\x80\x80\xa0\xf6\xf4\xac\xdb\xe0\x1b\x00"))
    assert code == "invalid_avro"
    assert "items of an array have no bytes" in detail


def test_maps_of_nothing_are_read() -> None:
    """Each entry of a map has the bytes of its key."""
    schema = record_of(x={"type": "map", "values": EMPTY})
    assert read_body(schema, b"\x04\x02a\x02b\x00") == b'{"x":{"a":{},"b":{}}}'


def test_text_that_grows_too_long_is_refused() -> None:
    """Names of a schema are written for each record: their text is bounded, not only the bytes."""
    item = {**record_of(**{"n" * 10_000: "boolean"}), "name": "Item"}
    schema = record_of(x={"type": "array", "items": item})
    data = b"\x80\x89\x7a" + b"\x00" * 1_000_000
    code, detail = rejection(read_body(schema, data))
    assert code == "record_too_large"
    assert detail == (
        "read with schema id 7, it becomes more JSON than limits.max_batch_output_bytes: raise "
        "that, and redrive"
    )
    symbols = {"type": "enum", "name": "E", "symbols": ["S" * 100_000]}
    code, _detail = rejection(
        read_body(record_of(x={"type": "array", "items": symbols}), b"\xa0\x9c\x01" + bytes(10_001))
    )
    assert code == "record_too_large"


def test_zeros_of_decimals_are_bounded() -> None:
    """A decimal has all the digits of its scale, also one that is written in one byte."""
    zero = {"type": "bytes", "logicalType": "decimal", "precision": 1000, "scale": 1000}
    schema = record_of(x={"type": "array", "items": zero})
    data = b"\x80\x89\x7a" + bytes(1_000_001)
    assert rejection(read_body(schema, data))[0] == "record_too_large"


_SMALL_VALUES = 50_000
"""Ten times as many as pieces of text are kept apart."""


def test_memory_is_in_proportion_to_the_text() -> None:
    """Many small values do not take many times the memory of their text."""
    item = {**record_of(a="boolean"), "name": "Item"}
    read = reader_of(record_of(x={"type": "array", "items": item}))
    value = prefix_of_id(ID) + write_long(_SMALL_VALUES) + bytes(_SMALL_VALUES + 1)
    read(prefix_of_id(ID), ())
    tracemalloc.start()
    try:
        text = read(value, ())
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(text, bytes)
    assert peak < 4 * len(text)


@pytest.mark.parametrize("levels", [30, 125, 240])
def test_nested_types_are_read_or_refused(levels: int) -> None:
    """A schema of many levels that contains itself does not exhaust the stack."""
    kind: Any = ["null", "R"]
    for _ in range(levels):
        kind = {"type": "array", "items": kind}
    found = read_body(record_of(x=kind), b"\x02" * 100_000)
    assert rejection(found)[0] in {"too_deep", "invalid_avro"}


def test_the_bound_is_that_of_the_outputs() -> None:
    """What is longer than all outputs of a batch call may be could never be written."""
    limits = {"max_batch_output_bytes": 1_000, "max_event_bytes": 500}
    schema = record_of(x="string")
    assert isinstance(read_body(schema, body("string", "x" * 900), limits=limits), bytes)
    found = read_body(schema, body("string", "x" * 1_100), limits=limits)
    assert rejection(found)[0] == "record_too_large"


def test_trees_of_empty_records_are_bounded() -> None:
    """Types that refer to each other twice grow exponentially, from no bytes at all."""
    levels = [EMPTY]
    for level in range(40):
        below = levels[-1]["name"]
        levels.append({**record_of(left=below, right=below), "name": f"L{level}"})
    references = tuple((str(level["name"]), json.dumps(level)) for level in levels)
    schema = WriterSchema("avro", json.dumps("L39"), references)
    limits = {"max_batch_output_bytes": 100_000, "max_event_bytes": 1000}
    assert rejection(read_body(schema, b"", limits=limits))[0] == "record_too_large"


@pytest.mark.parametrize(
    "schema",
    [
        record_of(next=["null", "R"]),
        record_of(children={"type": "array", "items": "R"}),
        record_of(children={"type": "map", "values": ["null", "R"]}),
        record_of(self="R"),
    ],
)
def test_recursion_has_an_end(schema: Any) -> None:
    """A type that contains itself thousands of times is too deep."""
    code, detail = rejection(read_body(schema, b"\x02\x00" * 100_000))
    assert code in {"too_deep", "invalid_avro"}
    code, detail = rejection(read_body(schema, b"\x02" * 100_000))
    assert code == "too_deep"
    assert detail.startswith("read with schema id 7, a type contains itself too many times (byte ")


def test_long_decimals_are_refused() -> None:
    """A decimal of a million digits would take minutes to be written."""
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 10**6, "scale": 0}
    found = read_body(record_of(x=kind), body("bytes", b"\x7f" * 500_000))
    assert "a decimal of 500000 bytes, over 1024" in rejection(found)[1]


def test_huge_fixed_values_are_not_there() -> None:
    """The size of a fixed is the schema's word; the bytes must be there."""
    kind = {"type": "fixed", "name": "F", "size": 10**15}
    assert (
        "1000000000000000 bytes are announced" in rejection(read_body(record_of(x=kind), b"x"))[1]
    )
