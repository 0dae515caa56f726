"""What differs between two Avro schemas is said field by field, in words."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings

from pipeline.avro.published import published
from pipeline.core.record import Role
from pipeline.errors import SchemaFileError
from pipeline.evolution.avro_changes import avro_difference
from pipeline.evolution.change import ChangeKind, Compatibility
from tests.unit.avro.next_versions import COMPATIBLE, INCOMPATIBLE, OTHER_MEANING
from tests.unit.avro.test_difference import two_versions

Schema = Any
ALL: Final = {**COMPATIBLE, **INCOMPATIBLE, **OTHER_MEANING}
DECIMAL: Final = "null or bytes (decimal(38, 9))"
OLDER: Final = "older data can't be read without it"

CHANGES: Final[dict[str, list[tuple[str, ChangeKind, str]]]] = {
    "nothing": [],
    "field added": [("country", ChangeKind.ADDED, "null or string, optional: null in older data")],
    "field added to enrichment": [
        ("enrichment.geo", ChangeKind.ADDED, "null or string, optional: null in older data")
    ],
    "field with a default removed": [
        ("integrations", ChangeKind.REMOVED, "null or string, optional: null in newer data")
    ],
    "description changed": [("event", ChangeKind.DESCRIPTION, "Another.")],
    "other names for a field": [("messageId", ChangeKind.NAME, 'aliases: null -> ["id"]')],
    "field without a default removed": [
        ("messageId", ChangeKind.REMOVED, "string, required: newer data can't be read without it")
    ],
    "field without a default added": [("country", ChangeKind.ADDED, f"string, required: {OLDER}")],
    "field renamed": [
        ("id", ChangeKind.ADDED, f"string, required: {OLDER}"),
        ("messageId", ChangeKind.REMOVED, "string, required: newer data can't be read without it"),
    ],
    "field of another type": [("event", ChangeKind.TYPE, "string -> int")],
    "type narrowed": [
        ("timestamp", ChangeKind.TYPE, "null or long (timestamp-millis) -> null or int")
    ],
    "never null any more": [
        ("userId", ChangeKind.TYPE, "null or string -> string"),
        ("userId", ChangeKind.DEFAULT, 'null -> ""'),
    ],
    "may be null": [
        ("event", ChangeKind.TYPE, "string -> null or string"),
        ("event", ChangeKind.DEFAULT, "none -> null"),
    ],
    "record renamed": [
        (
            "",
            ChangeKind.TYPE,
            "record track_pipeline.EnrichedTrackEvent -> record track_pipeline.EnrichedTrackEvent3",
        )
    ],
    "items of another type": [("enrichment.warnings[]", ChangeKind.TYPE, "string -> int")],
    "scale of a decimal": [
        ("revenue", ChangeKind.TYPE, f"{DECIMAL} -> null or bytes (decimal(38, 2))")
    ],
    "precision of a decimal": [
        ("revenue", ChangeKind.TYPE, f"{DECIMAL} -> null or bytes (decimal(20, 9))")
    ],
    "unit of a time": [
        (
            "sentAt",
            ChangeKind.TYPE,
            "null or long (timestamp-millis) -> null or long (timestamp-micros)",
        )
    ],
}


def _record(*fields: Schema, **more: Any) -> str:
    return json.dumps({"type": "record", "name": "n.Event", "fields": list(fields), **more})


def _field(kind: Schema, name: str = "f", **more: Any) -> Schema:
    return {"name": name, "type": kind, **more}


def _enum(*symbols: str, **more: Any) -> Schema:
    return {"type": "enum", "name": "n.Kind", "symbols": list(symbols), **more}


def _tree(kind: str) -> Schema:
    return {
        "type": "record",
        "name": "n.Tree",
        "fields": [_field({"type": "array", "items": "n.Tree"}, "parts"), _field(kind, "leaf")],
    }


OTHERS: Final = {
    "symbol added": (
        _record(_field(_enum("A"))),
        _record(_field(_enum("A", "B", "C"))),
        [("f", ChangeKind.VALUES, "added B, C")],
    ),
    "symbol replaced": (
        _record(_field(_enum("A", "B"))),
        _record(_field(_enum("A", "C"))),
        [("f", ChangeKind.VALUES, "added C; removed B")],
    ),
    "symbols in another order": (
        _record(_field(_enum("A", "B"))),
        _record(_field(_enum("B", "A"))),
        [("f", ChangeKind.VALUES, "in another order")],
    ),
    "default of an enum": (
        _record(_field(_enum("A"))),
        _record(_field(_enum("A", default="A"))),
        [("f", ChangeKind.DEFAULT, 'none -> "A"')],
    ),
    "field renamed with an alias": (
        _record(_field("int", doc="One.")),
        _record(_field("int", "g", doc="Two.", aliases=["f"])),
        [
            ("g", ChangeKind.NAME, "was f, which is an alias"),
            ("g", ChangeKind.DESCRIPTION, "Two."),
            ("g", ChangeKind.NAME, 'aliases: null -> ["f"]'),
        ],
    ),
    "fields in another order": (
        _record(_field("int", "a"), _field("int", "b")),
        _record(_field("int", "b"), _field("int", "a")),
        [("", ChangeKind.ORDER, "the fields are in another order")],
    ),
    "description removed": (
        _record(doc="Something."),
        _record(),
        [("", ChangeKind.DESCRIPTION, "none any more")],
    ),
    "array replaced": (
        _record(_field({"type": "array", "items": "int"})),
        _record(_field({"type": "map", "values": ["null", "int"]})),
        [("f", ChangeKind.TYPE, "array of int -> map of (null or int)")],
    ),
    "value of a map": (
        _record(_field({"type": "map", "values": "int"})),
        _record(_field({"type": "map", "values": "long"})),
        [("f{}", ChangeKind.TYPE, "int -> long")],
    ),
    "record that holds itself": (
        _record(_field(_tree("int"), "tree")),
        _record(_field(_tree("string"), "tree")),
        [("tree.leaf", ChangeKind.TYPE, "int -> string")],
    ),
    "size": (
        _record(_field({"type": "fixed", "name": "n.Hash", "size": 8})),
        _record(_field({"type": "fixed", "name": "n.Hash", "size": 16})),
        [("f", ChangeKind.TYPE, "fixed n.Hash of 8 bytes -> fixed n.Hash of 16 bytes")],
    ),
    "logical type that only describes": (
        _record(_field("string")),
        _record(_field({"type": "string", "logicalType": "uuid"})),
        [("f", ChangeKind.TYPE, "string -> string (uuid)")],
    ),
    "order of sorting": (
        _record(_field("int")),
        _record(_field("int", order="ignore")),
        [("f", ChangeKind.RULE, 'order: null -> "ignore"')],
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_changes_of_the_published_schema_are_named(name: str) -> None:
    """Each made-up next version differs in one thing, and nothing else is said."""
    found = avro_difference(published(Role.ENRICHED), ALL[name].text, "next.avsc")
    assert list(found.changes) == CHANGES[name]


@pytest.mark.parametrize("name", OTHERS)
def test_changes_of_other_schemas_are_named(name: str) -> None:
    """Whatever a schema of someone else has is compared, too."""
    old, new, changes = OTHERS[name]
    assert list(avro_difference(old, new, "x.avsc").changes) == changes


@pytest.mark.parametrize("name", ALL)
def test_level_says_who_reads_whose_data(name: str) -> None:
    """FULL, BACKWARD, FORWARD and NONE mean what they mean to a registry."""
    version = ALL[name]
    found = avro_difference(published(Role.ENRICHED), version.text, "next.avsc")
    level = {
        (False, False): Compatibility.FULL,
        (False, True): Compatibility.BACKWARD,
        (True, False): Compatibility.FORWARD,
        (True, True): Compatibility.NONE,
    }[bool(version.new_reader), bool(version.old_reader)]
    assert found.compatibility is level
    assert found.new_reader == tuple(filter(None, [version.new_reader]))
    assert found.old_reader == tuple(filter(None, [version.old_reader]))


def test_schema_that_is_none_is_named_with_its_side() -> None:
    """The message says which of the two files is wrong."""
    with pytest.raises(SchemaFileError, match=r"the new x.avsc is no JSON"):
        avro_difference('"null"', "{", "x.avsc")


@given(two_versions())
@settings(max_examples=60)
def test_something_is_said_exactly_where_schemas_differ(versions: tuple[Schema, Schema]) -> None:
    """No change is left out, and each reason for a level belongs to a change that is said."""
    new, old = versions
    found = avro_difference(json.dumps(old), json.dumps(new), "x.avsc")
    assert bool(found.changes) is (old != new)
    fields = tuple(change.field for change in found.changes)
    for reason in (*found.new_reader, *found.old_reader):
        assert reason.startswith(fields)
