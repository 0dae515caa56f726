"""Whatever the schema and the bytes: JSON equals what fastavro reads, and nothing raises."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from itertools import count
from typing import Any, Final, NamedTuple

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import prefix_of_fingerprint, prefix_of_id
from pipeline.core.contract import ContractSettings
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers
from tests.unit.avro.schemas_of_records import (
    BATCH,
    EVENT,
    GUID,
    ID,
    KnownSchemas,
    body,
    read_body,
    record_of,
)

SCALE: Final = 4
texts: Final = st.text(st.characters(codec="utf-8"), max_size=20)
amounts: Final = st.integers(-(10**20), 10**20).map(lambda n: Decimal(n).scaleb(-SCALE))


class AnyType(NamedTuple):
    """An Avro type, and values of it."""

    schema: Any
    values: st.SearchStrategy[Any]


def _decimal(kind: dict[str, Any]) -> AnyType:
    schema = {**kind, "logicalType": "decimal", "precision": 21, "scale": SCALE}
    return AnyType(schema, amounts)


def _leaf(number: int) -> st.SearchStrategy[AnyType]:
    return st.sampled_from(
        [
            AnyType("null", st.none()),
            AnyType("boolean", st.booleans()),
            AnyType("int", st.integers(-(2**31), 2**31 - 1)),
            AnyType("long", st.integers(-(2**63), 2**63 - 1)),
            AnyType("double", st.floats(allow_nan=False, allow_infinity=False)),
            AnyType("string", texts),
            AnyType("bytes", st.binary(max_size=20)),
            AnyType(
                {"type": "fixed", "name": f"F{number}", "size": 3},
                st.binary(min_size=3, max_size=3),
            ),
            AnyType(
                {"type": "enum", "name": f"E{number}", "symbols": ["A", "B", "C"]},
                st.sampled_from("ABC"),
            ),
            _decimal({"type": "bytes"}),
            _decimal({"type": "fixed", "name": f"D{number}", "size": 12}),
        ]
    )


@st.composite
def any_types(draw: st.DrawFn, numbers: count[int], depth: int = 2) -> AnyType:
    """Draw a type, nested at most so deep."""
    kind = draw(
        st.sampled_from(["leaf", "array", "map", "record", "optional"] if depth else ["leaf"])
    )
    if kind == "leaf":
        return draw(_leaf(next(numbers)))
    inner = any_types(numbers, depth - 1)
    if kind == "record":
        fields = {f"f{n}": each for n, each in enumerate(draw(st.lists(inner, max_size=3)))}
        schema = record_of(**{name: each.schema for name, each in fields.items()})
        whole = st.fixed_dictionaries({name: each.values for name, each in fields.items()})
        return AnyType({**schema, "name": f"R{next(numbers)}"}, whole)
    item = draw(inner)
    if kind == "array":
        return AnyType({"type": "array", "items": item.schema}, st.lists(item.values, max_size=3))
    if kind == "map":
        entries = st.dictionaries(texts, item.values, max_size=3)
        return AnyType({"type": "map", "values": item.schema}, entries)
    if isinstance(item.schema, list) or item.schema == "null":
        return item
    return AnyType(["null", item.schema], st.none() | item.values)


def as_json(value: Any) -> Any:
    """Return a value of fastavro as JSON has it: bytes as text, numbers as they are."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, list) else value


def exact(text: bytes) -> Any:
    """Decode JSON text with numbers of the type that they are written as."""
    return json.loads(text, parse_float=Decimal)


def numbers_as_decimals(value: Any) -> Any:
    """Return a value whose floats are the decimal numbers that their shortest text is."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: numbers_as_decimals(each) for name, each in value.items()}
    return [numbers_as_decimals(each) for each in value] if isinstance(value, list) else value


@given(st.data())
def test_any_record_is_what_fastavro_reads(data: st.DataObject) -> None:
    """All types in all nestings, written and read by fastavro, are the same values in our text."""
    drawn = data.draw(any_types(count()))
    schema = record_of(field=drawn.schema)
    encoded = body(schema, {"field": data.draw(drawn.values)})
    parsed = fastavro.parse_schema(schema)
    expected = fastavro.schemaless_reader(io.BytesIO(encoded), parsed, None)
    text = read_body(schema, encoded)
    if isinstance(text, Invalid):
        assert "items of an array have no bytes" in text.violations[0].detail
        return
    assert exact(text) == numbers_as_decimals(as_json(expected))


MIXED: Final = record_of(
    flag="boolean",
    number="int",
    long="long",
    ratio="double",
    small="float",
    text=["null", "string"],
    raw="bytes",
    choice={"type": "enum", "name": "E", "symbols": ["A", "B"]},
    fixed={"type": "fixed", "name": "F", "size": 4},
    either=["string", "long", "null"],
    items={"type": "array", "items": {**record_of(a="string", b="int"), "name": "Item"}},
    by={"type": "map", "values": ["null", "string"]},
    child=["null", "R"],
)
"""Every type once, without logical types."""
LEAF: Final[dict[str, Any]] = {
    "flag": True, "number": -7, "long": 2**40, "ratio": 0.5, "small": 0.25, "text": None,
    "raw": b"\x00\xff", "choice": "B", "fixed": b"four", "either": 5, "items": [], "by": {},
    "child": None,
}  # fmt: skip
ROOT: Final = {
    **LEAF,
    "text": "x" * 70,
    "either": "text",
    "items": [{"a": "é", "b": 1}, {"a": "", "b": 2}],
    "by": {"k": None, "l": "v"},
    "child": LEAF,
}
EVENT_VALUE: Final = {
    "event": "e",
    "userId": "u",
    "properties": {"revenue": Decimal(5), "currency": None, "tags": ["a"]},
}
READER: Final = FramedReader(
    ContractSettings.model_validate({"input": {"format": "auto"}}),
    KnownSchemas({ID: MIXED, GUID: EVENT, 8: BATCH, 9: EVENT}),
)
FRAMED: Final = (
    prefix_of_id(ID) + body(MIXED, ROOT),
    prefix_of_id(8) + body(BATCH, {"batch": [EVENT_VALUE, EVENT_VALUE]}),
    prefix_of_id(9) + body(EVENT, EVENT_VALUE),
    b"\x01" + GUID.bytes + body(EVENT, EVENT_VALUE),
    prefix_of_fingerprint(bytes(8)) + b"x",
)
_SPLICES: Final = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\xff" * 9 + b"\x01", b"\x80" * 10, b"\x00" * 8, b"\x7f", b"\x81\x80\x00"]),
)
CODES: Final = {
    Reason.INVALID_AVRO,
    Reason.SCHEMA_UNKNOWN,
    Reason.RECORD_TOO_LARGE,
    Reason.TOO_DEEP,
}


def check(found: bytes | Invalid, value: bytes) -> None:
    """Check that a record is JSON text, or a rejection of one known code and a short detail."""
    if isinstance(found, Invalid):
        (violation,) = found.violations
        assert violation.code in CODES
        assert violation.detail
    elif found is not value:
        json.loads(found)


@given(st.binary(max_size=60))
def test_no_bytes_raise(value: bytes) -> None:
    """Any bytes behind any framing are text or a rejection."""
    headers: Headers = [(VALUE_SCHEMA_ID, value)]
    for framed in (value, *(prefix_of_id(known) + value for known in (ID, 8, 9))):
        check(READER(framed, ()), framed)
    check(READER(FRAMED[0], headers), FRAMED[0])
    check(READER(value, [(VALUE_SCHEMA_ID, b"\x01" + GUID.bytes)]), value)


@given(st.sampled_from(FRAMED), st.integers(0, 200), st.integers(0, 12), _SPLICES)
def test_no_mutation_raises(value: bytes, at: int, removed: int, inserted: bytes) -> None:
    """Records that are cut, overwritten or extended anywhere are text or a rejection."""
    changed = value[:at] + inserted + value[at + removed :]
    check(READER(changed, ()), changed)


@given(st.integers(0, 200), st.integers(0, 12), _SPLICES)
def test_what_is_read_is_what_fastavro_reads(at: int, removed: int, inserted: bytes) -> None:
    """A mutated record that we can read has the same values for fastavro."""
    value = FRAMED[0][5:]
    changed = value[:at] + inserted + value[at + removed :]
    text = READER(prefix_of_id(ID) + changed, ())
    if isinstance(text, Invalid):
        return
    expected: Any = fastavro.schemaless_reader(
        io.BytesIO(changed), fastavro.parse_schema(MIXED), None
    )
    assert without_small(json.loads(text)) == without_small(as_json(expected))


def without_small(value: Any) -> Any:
    """Return a value of `MIXED` without its floats of 32 bits, which have fewer digits in text."""
    child = value["child"]
    return {
        **{name: each for name, each in value.items() if name != "small"},
        "child": None if child is None else without_small(child),
    }


_NAMES: Final = st.sampled_from(["R", "E", "string", "null", "long", "record", "enum", "x.y", ""])
_KEYS: Final = st.sampled_from(
    [
        "type",
        "name",
        "namespace",
        "fields",
        "items",
        "values",
        "symbols",
        "size",
        "logicalType",
        "precision",
        "scale",
        "default",
        "aliases",
        "order",
        "doc",
    ]
)
_KINDS: Final = st.sampled_from(
    ["record", "array", "map", "enum", "fixed", "bytes", "decimal", "R"]
)
_SCALARS: Final = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**6), st.floats(), _NAMES, _KINDS
)
any_schemas: Final = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_KEYS, inner, max_size=5),
        st.builds(lambda kind, rest: {**rest, "type": kind}, _KINDS, st.dictionaries(_KEYS, inner)),
    ),
    max_leaves=12,
)


@given(any_schemas, st.binary(max_size=20))
def test_no_schema_raises(schema: Any, data: bytes) -> None:
    """Whatever a registry says that a schema is: its records are text or a rejection."""
    check(read_body(schema, data), data)
