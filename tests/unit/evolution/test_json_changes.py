"""What differs between two JSON Schemas is said field by field, and whom it concerns."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.errors import SchemaFileError
from pipeline.evolution.change import ChangeKind, Compatibility
from pipeline.evolution.json_changes import json_difference

Schema = Any
ADDED, REMOVED, TYPE, VALUES = (
    ChangeKind.ADDED,
    ChangeKind.REMOVED,
    ChangeKind.TYPE,
    ChangeKind.VALUES,
)
RULE, REQUIRED = ChangeKind.RULE, ChangeKind.REQUIRED
FULL, BACKWARD, FORWARD, NONE = Compatibility


def _closed(**properties: Schema) -> Schema:
    return {"properties": properties, "additionalProperties": False}


def _a(schema: Schema) -> Schema:
    return {"properties": {"a": schema}}


INT: Final = {"type": "integer"}
TEXT: Final = {"type": "string"}

ROWS: Final[dict[str, tuple[Schema, Schema, list[tuple[str, ChangeKind, str]], Compatibility]]] = {
    "nothing": (_a(INT), _a(INT | {"title": "A"}), [], FULL),
    "description": (
        _a(INT),
        _a(INT | {"description": "One."}),
        [("a", ChangeKind.DESCRIPTION, "One.")],
        FULL,
    ),
    "property of an open object": (
        _a(INT),
        {"properties": {"a": INT, "b": INT}},
        [("b", ADDED, "integer, optional")],
        FORWARD,
    ),
    "property of a closed object": (
        _closed(a=INT),
        _closed(a=INT, b=INT),
        [("b", ADDED, "integer, optional")],
        BACKWARD,
    ),
    "property that may be anything": (
        _a(INT),
        {"properties": {"a": INT, "b": {}}},
        [("b", ADDED, "any value, optional")],
        FULL,
    ),
    "required property added": (
        _closed(),
        _closed(b=INT) | {"required": ["b"]},
        [("b", ADDED, "integer, required"), ("b", REQUIRED, "required from now on")],
        NONE,
    ),
    "property removed": (_a(INT), {}, [("a", REMOVED, "integer, optional")], BACKWARD),
    "property forbidden": (
        _closed(a=INT),
        _closed(),
        [("a", REMOVED, "integer, optional")],
        FORWARD,
    ),
    "required": (
        _a(INT),
        _a(INT) | {"required": ["a"]},
        [("a", REQUIRED, "required from now on")],
        FORWARD,
    ),
    "required without a schema": (
        {"required": ["x"]},
        {"required": ["y"]},
        [("x", REQUIRED, "not required any more"), ("y", REQUIRED, "required from now on")],
        NONE,
    ),
    "not required": (
        _a(INT) | {"required": ["a"]},
        _a(INT),
        [("a", REQUIRED, "not required any more")],
        BACKWARD,
    ),
    "type widened": (_a(INT), _a({"type": "number"}), [("a", TYPE, "integer -> number")], BACKWARD),
    "type narrowed": (
        _a({"type": ["null", "string"]}),
        _a(TEXT),
        [("a", TYPE, "null or string -> string")],
        FORWARD,
    ),
    "another type": (_a(INT), _a(TEXT), [("a", TYPE, "integer -> string")], NONE),
    "any type": (_a(INT), _a({}), [("a", TYPE, "integer -> any value")], BACKWARD),
    "value added": (
        _a({"enum": ["x"]}),
        _a({"enum": ["x", "y"]}),
        [("a", VALUES, 'added "y"')],
        BACKWARD,
    ),
    "value replaced": (
        _a({"const": 1}),
        _a({"const": 2}),
        [("a", VALUES, "added 2; removed 1")],
        NONE,
    ),
    "values limited": (
        _a(TEXT),
        _a(TEXT | {"enum": ["x", "y"]}),
        [("a", VALUES, "string -> one of 2 values")],
        FORWARD,
    ),
    "bound added": (
        _a(INT),
        _a(INT | {"maximum": 5}),
        [("a", RULE, "maximum: none -> 5")],
        FORWARD,
    ),
    "bound lowered": (
        _a(INT | {"minimum": 5}),
        _a(INT | {"minimum": 1}),
        [("a", RULE, "minimum: 5 -> 1")],
        BACKWARD,
    ),
    "pattern of words": (
        _a(TEXT | {"pattern": "^(?:one|two) /"}),
        _a(TEXT | {"pattern": "^(?:one|three) /"}),
        [("a", VALUES, "added three; removed two")],
        NONE,
    ),
    "pattern of words in any case": (
        _a(TEXT | {"pattern": "^(?:[Aa][Bb]|[Cc])$"}),
        _a(TEXT | {"pattern": "^(?:[Aa][Bb])$"}),
        [("a", VALUES, "removed C")],
        FORWARD,
    ),
    "another pattern": (
        _a(TEXT | {"pattern": "^a"}),
        _a(TEXT | {"pattern": "^b"}),
        [("a", RULE, 'pattern: "^a" -> "^b"')],
        NONE,
    ),
    "branch added": (
        _a({"anyOf": [INT, TEXT]}),
        _a({"anyOf": [INT, {"type": "boolean"}, TEXT]}),
        [("a", TYPE, "added boolean")],
        BACKWARD,
    ),
    "branch in a branch": (
        _a({"anyOf": [INT, {"anyOf": [TEXT, {"type": "null"}]}]}),
        _a({"anyOf": [INT, TEXT, {"type": "null"}]}),
        [],
        FULL,
    ),
    "rule of a branch": (
        _a({"anyOf": [INT, TEXT | {"maxLength": 9}]}),
        _a({"anyOf": [INT, TEXT | {"maxLength": 8}]}),
        [("a", RULE, "maxLength: 9 -> 8")],
        FORWARD,
    ),
    "items": (
        _a({"type": "array", "items": INT}),
        _a({"type": "array", "items": TEXT}),
        [("a[]", TYPE, "integer -> string")],
        NONE,
    ),
    "other properties": (
        {"additionalProperties": INT},
        {"additionalProperties": False},
        [("", RULE, "no other properties any more")],
        FORWARD,
    ),
    "type of other properties": (
        {"additionalProperties": INT},
        {"additionalProperties": {"type": "number"}},
        [("{}", TYPE, "integer -> number")],
        BACKWARD,
    ),
    "values by pattern": (
        {"patternProperties": {"^x": INT}},
        {"patternProperties": {"^x": TEXT}},
        [("{}", TYPE, "integer -> string")],
        NONE,
    ),
    "other names by pattern": (
        {"patternProperties": {"^x": INT}},
        {"patternProperties": {"^y": INT}},
        [("", RULE, "other names of properties are allowed")],
        NONE,
    ),
    "property among those of a pattern": (
        {"patternProperties": {"^x": TEXT}, "additionalProperties": False},
        {"patternProperties": {"^x": TEXT}, "additionalProperties": False}
        | {"properties": {"xy": INT}},
        [("xy", ADDED, "integer, optional")],
        NONE,
    ),
    "rule that others depend on": (
        {"items": INT},
        {"items": INT, "prefixItems": [TEXT]},
        [("", RULE, 'prefixItems: none -> [{"type":"string"}]')],
        NONE,
    ),
    "rule added": (
        {},
        {"not": {"required": ["a"]}},
        [("", RULE, 'not: none -> {"required":["a"]}')],
        FORWARD,
    ),
    "dependent rule": (
        {"dependentSchemas": {"a": {"properties": {"b": {"enum": [1, 2]}}}}},
        {"dependentSchemas": {"a": {"properties": {"b": {"enum": [1]}}}}},
        [("b", VALUES, "removed 2")],
        FORWARD,
    ),
    "consequence of the same condition": (
        {"if": {"required": ["a"]}, "then": _a(INT)},
        {"if": {"required": ["a"]}, "then": _a({"type": "number"})},
        [("a", TYPE, "integer -> number")],
        BACKWARD,
    ),
    "another condition": (
        {"if": {"required": ["a", "b", "c"]}, "then": _a(INT)},
        {"if": {"required": ["a", "b", "d"]}, "then": _a(INT)},
        [("", RULE, 'if: …red":["a","b","c"]} -> …red":["a","b","d"]}')],
        NONE,
    ),
    "reference": (
        _a({"$ref": "#/$defs/A"}) | {"$defs": {"A": INT}},
        _a(INT),
        [],
        FULL,
    ),
}

WRONG_KINDS: Final = {
    "type": 5,
    "enum": 5,
    "required": 5,
    "minimum": "x",
    "pattern": 5,
    "properties": [],
    "items": [INT, TEXT],
    "anyOf": 5,
}
RIGHT_KINDS: Final = {
    "enum": [1],
    "required": ["b"],
    "minimum": 5,
    "pattern": "x",
    "properties": {"b": INT},
    "items": INT,
}
"""A schema that has each keyword in its right kind."""

NO_SCHEMAS: Final = {
    "{": "the new x.json is no JSON: ",
    "5": "the new x.json is no JSON Schema: it is not an object",
    '{"$ref": "#/$defs/Gone"}': "the new x.json is no JSON Schema that can be read",
    '{"properties": 5}': "the new x.json is no JSON Schema that can be read",
    "[" * 100_000: "the new x.json is no JSON Schema that can be read",
}


@pytest.mark.parametrize("name", ROWS)
def test_changes_are_named_and_weighed(name: str) -> None:
    """Each change says what is different; the level, who can still read what."""
    old, new, changes, level = ROWS[name]
    found = json_difference(json.dumps(old), json.dumps(new), "x.json")
    assert list(found.changes) == changes
    assert found.compatibility is level


@pytest.mark.parametrize("name", ROWS)
def test_changes_are_weighed_alike_in_the_other_direction(name: str) -> None:
    """What a new reader loses by a change, an old one loses when it is undone."""
    old, new, _, _ = ROWS[name]
    there = json_difference(json.dumps(old), json.dumps(new), "x.json")
    back = json_difference(json.dumps(new), json.dumps(old), "x.json")
    assert set(back.new_reader) == set(there.old_reader)
    assert set(back.old_reader) == set(there.new_reader)


@pytest.mark.parametrize("keyword", WRONG_KINDS)
def test_keyword_of_the_wrong_kind_is_one_sentence(keyword: str) -> None:
    """A file that only looks like a schema is no reason for a traceback."""
    wrong = json.dumps(_a({keyword: WRONG_KINDS[keyword]}))
    with pytest.raises(SchemaFileError, match=r"the .*new x\.json"):
        json_difference(json.dumps(_a(RIGHT_KINDS)), wrong, "x.json")


@pytest.mark.parametrize("text", NO_SCHEMAS)
def test_text_that_is_no_json_schema_is_one_sentence(text: str) -> None:
    """Whatever is wrong with a schema, the error names it and says what."""
    with pytest.raises(SchemaFileError) as caught:
        json_difference("{}", text, "x.json")
    assert str(caught.value).startswith(NO_SCHEMAS[text])
    assert "\n" not in str(caught.value)


def test_schema_that_holds_itself_is_compared() -> None:
    """A reference to what it is in is not followed again."""
    tree = {"$defs": {"T": _closed(t={"$ref": "#/$defs/T"}, v=INT)}, "$ref": "#/$defs/T"}
    wider = json.loads(json.dumps(tree).replace('"integer"', '"number"'))
    found = json_difference(json.dumps(tree), json.dumps(wider), "x.json")
    assert found.changes[0] == ("v", TYPE, "integer -> number")
    assert found.compatibility is BACKWARD


_VALUES: Final = st.sampled_from([None, True, 0, 1, 2.5, 10, "", "x", "yy", [], [1], ["x"]])
_SCALARS: Final = st.sampled_from(
    [
        *({}, INT, TEXT, {"type": "number"}, {"type": ["null", "string"]}, {"type": "boolean"}),
        *({"enum": [0, "x"]}, {"enum": [0]}, {"const": 1}, INT | {"minimum": 1}),
        *(INT | {"minimum": 5}, INT | {"maximum": 5}, TEXT | {"minLength": 1}, {"not": TEXT}),
        *(TEXT | {"pattern": "^(?:x|yy)$"}, TEXT | {"pattern": "^(?:x)$"}, TEXT | {"pattern": "y"}),
        *({"type": "array", "items": INT}, {"type": "array", "maxItems": 0}, {"type": "array"}),
        *({"anyOf": [INT, TEXT]}, {"anyOf": [{"const": 0}, {"type": "array"}, TEXT]}),
    ]
)
_OBJECTS: Final = st.builds(
    lambda properties, required, others, by_pattern: {
        "properties": properties,
        "required": required,
        **({} if others is None else {"additionalProperties": others}),
        **({"patternProperties": by_pattern} if by_pattern else {}),
    },
    st.dictionaries(st.sampled_from("abc"), _SCALARS, max_size=2),
    st.lists(st.sampled_from("abc"), max_size=1),
    st.sampled_from([None, False, True, INT]),
    st.sampled_from([{}, {}, {"^a": INT}, {"^a": TEXT}, {"^[ab]": TEXT}]),
)
_DOCUMENTS: Final = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


@st.composite
def _versions(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Two schemas of an object that differ in some of their keywords."""
    old, other = draw(_OBJECTS), draw(_OBJECTS)
    kept = draw(st.sets(st.sampled_from(sorted(old)), min_size=1))
    changed = {key: rule for key, rule in other.items() if key not in kept}
    return old, {key: old[key] for key in kept} | changed


@given(_versions(), st.lists(_DOCUMENTS, min_size=5, max_size=10))
@settings(max_examples=100)
def test_valid_documents_stay_valid_where_no_change_rejects_any(
    versions: tuple[Schema, Schema], documents: list[Any]
) -> None:
    """A level that promises a reader all documents of the other version keeps the promise."""
    old, new = versions
    found = json_difference(json.dumps(old), json.dumps(new), "x.json")
    before, after = Draft202012Validator(old), Draft202012Validator(new)
    for document in documents:
        if not found.new_reader:
            assert after.is_valid(document) or not before.is_valid(document)
        if not found.old_reader:
            assert before.is_valid(document) or not after.is_valid(document)
