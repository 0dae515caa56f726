"""What one schema has written and another can't read is found, and said in words."""

from __future__ import annotations

import io
import json
import random
from typing import Any, Final

import pytest
from fastavro import schemaless_reader
from fastavro.schema import parse_schema
from fastavro.utils import generate_many
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.avro.difference import incompatibilities
from pipeline.errors import SchemaFileError
from tests.unit.avro.encoding import written_by_fastavro

Schema = Any


def _record(*fields: Schema, name: str = "n.Event", **more: Any) -> Schema:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def _field(kind: Schema, name: str = "f", **more: Any) -> Schema:
    return {"name": name, "type": kind, **more}


def _decimal(precision: int, scale: int) -> Schema:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def _enum(*symbols: str, **more: Any) -> Schema:
    return {"type": "enum", "name": "n.Kind", "symbols": list(symbols), **more}


def _fixed(size: int) -> Schema:
    return {"type": "fixed", "name": "n.Hash", "size": size}


MILLIS: Final = {"type": "long", "logicalType": "timestamp-millis"}
NODE: Final = _record(_field(["null", "n.Node"], "next"), _field("int"), name="n.Node")
LONGER_NODE: Final = _record(_field(["null", "n.Node"], "next"), _field("string"), name="n.Node")

READABLE: Final[dict[str, tuple[Schema, Schema]]] = {
    "the same": (_record(_field("int")), _record(_field("int"))),
    "removed": (_record(), _record(_field("int"))),
    "added with a default": (_record(_field("int", default=0)), _record()),
    "renamed with an alias": (
        _record(_field("int", "g", aliases=["f"])),
        _record(_field("int")),
    ),
    "record renamed with an alias": (_record(name="n.Call", aliases=["n.Event"]), _record()),
    "namespace renamed": (_record(name="m.Event"), _record()),
    "in another order": (
        _record(_field("int", "a"), _field("int", "b")),
        _record(_field("int", "b"), _field("int", "a")),
    ),
    "may be null now": (_record(_field(["null", "int"])), _record(_field("int"))),
    "promoted": (_record(_field("double")), _record(_field("int"))),
    "promoted into a union": (_record(_field(["null", "long"])), _record(_field("int"))),
    "text as bytes": (_record(_field("bytes")), _record(_field("string"))),
    "more symbols": (_record(_field(_enum("A", "B"))), _record(_field(_enum("A")))),
    "fewer symbols with a default": (
        _record(_field(_enum("A", default="A"))),
        _record(_field(_enum("A", "B"))),
    ),
    "an unknown logical type": (
        _record(_field({"type": "string", "logicalType": "colour"})),
        _record(_field("string")),
    ),
    "holds itself": (NODE, NODE),
}

UNREADABLE: Final[dict[str, tuple[Schema, Schema, str]]] = {
    "added without a default": (
        _record(_field("int", "g"), _field("int")),
        _record(_field("int")),
        "g: not written, and the reader has no default for it",
    ),
    "renamed": (
        _record(_field("int", "g")),
        _record(_field("int")),
        "g: not written, and the reader has no default for it",
    ),
    "record renamed": (
        _record(name="n.Call"),
        _record(),
        "the whole value: written as record n.Event, read as record n.Call",
    ),
    "narrowed": (
        _record(_field("int")),
        _record(_field("long")),
        "f: written as long, read as int",
    ),
    "no longer null": (
        _record(_field("string")),
        _record(_field(["null", "string"])),
        "f: written as null, read as string",
    ),
    "a type fewer": (
        _record(_field(["null", "int"])),
        _record(_field(["null", "int", "string"])),
        "f: written as string, read as null or int",
    ),
    "scale": (
        _record(_field(["null", _decimal(38, 2)])),
        _record(_field(["null", _decimal(38, 9)])),
        "f: written as bytes (decimal(38, 9)), read as bytes (decimal(38, 2))",
    ),
    "precision": (
        _record(_field(_decimal(20, 9))),
        _record(_field(_decimal(38, 9))),
        "f: written as bytes (decimal(38, 9)), read as bytes (decimal(20, 9))",
    ),
    "no decimal any more": (
        _record(_field("bytes")),
        _record(_field(_decimal(38, 9))),
        "f: written as bytes (decimal(38, 9)), read as bytes",
    ),
    "time in another unit": (
        _record(_field({"type": "long", "logicalType": "timestamp-micros"})),
        _record(_field(MILLIS)),
        "f: written as long (timestamp-millis), read as long (timestamp-micros)",
    ),
    "item of an array": (
        _record(_field({"type": "array", "items": "int"})),
        _record(_field({"type": "array", "items": "string"})),
        "f[]: written as string, read as int",
    ),
    "value of a map": (
        _record(_field({"type": "map", "values": "int"})),
        _record(_field({"type": "map", "values": ["null", "int"]})),
        "f{}: written as null, read as int",
    ),
    "field of a field": (
        _record(_field(_record(_field("int", "b"), name="n.Inner"), "a")),
        _record(_field(_record(name="n.Inner"), "a")),
        "a.b: not written, and the reader has no default for it",
    ),
    "symbols fewer": (
        _record(_field(_enum("A"))),
        _record(_field(_enum("A", "B", "C"))),
        "f: the reader does not know the symbols B, C",
    ),
    "size": (
        _record(_field(_fixed(8))),
        _record(_field(_fixed(16))),
        "f: written as fixed n.Hash of 16 bytes, read as fixed n.Hash of 8 bytes",
    ),
    "in a record that holds itself": (
        LONGER_NODE,
        NODE,
        "f: written as int, read as string",
    ),
}


@pytest.mark.parametrize("name", READABLE)
def test_changes_that_a_reader_takes_are_no_problem(name: str) -> None:
    """Defaults, aliases, promotions and wider unions are what evolution is made of."""
    reader, writer = READABLE[name]
    assert incompatibilities(json.dumps(reader), json.dumps(writer)) == []


@pytest.mark.parametrize("name", UNREADABLE)
def test_changes_that_no_reader_takes_are_named(name: str) -> None:
    """Each names the field, and what was written and what is read."""
    reader, writer, problem = UNREADABLE[name]
    assert incompatibilities(json.dumps(reader), json.dumps(writer)) == [problem]


def test_every_problem_of_a_schema_is_listed() -> None:
    """Whoever mends a schema sees all that is wrong with it at once."""
    reader = _record(_field("int", "a"), _field("int", "b"))
    found = incompatibilities(json.dumps(reader), json.dumps(_record(_field("string", "a"))))
    assert [problem.partition(":")[0] for problem in found] == ["a", "b"]


def test_schema_that_is_none_is_named() -> None:
    """The message says which of the two schemas is wrong."""
    with pytest.raises(SchemaFileError, match="the writer's schema is no JSON"):
        incompatibilities('"null"', "{")


_SIMPLE: Final = st.sampled_from(
    [
        *("null", "int", "long", "float", "double", "string", "bytes", "boolean", MILLIS),
        *(_decimal(10, 2), _enum("A", "B"), _enum("A"), _fixed(2), _fixed(3)),
    ]
)
_TYPES: Final = _SIMPLE | st.builds(
    lambda kind, word: {"type": word[0], word[1]: kind},
    _SIMPLE,
    st.sampled_from([("array", "items"), ("map", "values")]),
)
_UNIONS: Final = _TYPES | _TYPES.map(lambda kind: kind if kind == "null" else ["null", kind])


def _named_once(kind: Schema, name: str) -> Schema:
    """The type with names of its own, since no two fields of a record may define the same one."""
    text = json.dumps(kind)
    return json.loads(text.replace("n.Kind", f"n.Kind_{name}").replace("n.Hash", f"n.Hash_{name}"))


@st.composite
def two_versions(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Two schemas of an event that have some of their fields in common."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
    fields = [_field(_named_once(draw(_UNIONS), name), name) for name in names]
    kept = [field for field in fields if draw(st.integers(0, 3))]
    changed = [_named_once(draw(_UNIONS), field["name"]) for field in kept]
    read = [
        field if draw(st.integers(0, 3)) else field | {"type": kind}
        for field, kind in zip(kept, changed, strict=True)
    ]
    return _record(*read, _field(["string", "null"], "new", default="")), _record(*fields)


@given(two_versions(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_fastavro_reads_what_has_no_problems(versions: tuple[Schema, Schema], seed: int) -> None:
    """Where no problem is found, every value that the writer may write is read."""
    reader, writer = versions
    assume(not incompatibilities(json.dumps(reader), json.dumps(writer)))
    random.seed(seed)
    for value in generate_many(parse_schema(writer), 3):
        written = written_by_fastavro(parse_schema(writer), value)
        read = schemaless_reader(io.BytesIO(written), parse_schema(writer), parse_schema(reader))
        assert isinstance(read, dict)
        assert set(read) == {field["name"] for field in reader["fields"]}
