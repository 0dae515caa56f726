"""The published files: current, valid, complete, and made of the rules' own constants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.raw_event import CONTEXT_TYPES
from schemas.source.avro import AVRO_NAMES, avro_document
from schemas.source.document import NAMES, document
from schemas.source.values import WHITE
from tests.unit.schemas.published import FOLDER, TEXTS, load

JSON_TYPES = {bool: "boolean", dict: "object", str: "string"}
SCHEMAS: dict[str, Any] = {name: load(text) for name, text in TEXTS.items()}


@pytest.mark.parametrize("name", NAMES)
def test_files_are_what_the_code_publishes(name: str) -> None:
    """A rule that changes changes the file: `make schemas` writes it anew."""
    assert TEXTS[name] == document(name)


@pytest.mark.parametrize("name", AVRO_NAMES)
def test_avro_files_are_what_the_code_publishes(name: str) -> None:
    """A description that changes in the JSON Schemas changes in the Avro ones."""
    path = FOLDER / CONTRACT_VERSION / f"{name}.avsc"
    assert path.read_bytes() == avro_document(name)


def test_nothing_else_lies_beside_them() -> None:
    """The folder of a version holds the published schemas and nothing else."""
    found = {path.name for path in (FOLDER / CONTRACT_VERSION).iterdir()}
    json, avro = {f"{name}.json" for name in NAMES}, {f"{name}.avsc" for name in AVRO_NAMES}
    assert found == json | avro


@pytest.mark.parametrize("name", NAMES)
def test_they_are_json_schemas(name: str) -> None:
    """Each is a valid schema of draft 2020-12 with a name of its own that is no address."""
    schema = SCHEMAS[name]
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:track-pipeline:schema:{name}:{CONTRACT_VERSION}"


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a schema."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _parts(part)


@pytest.mark.parametrize("name", NAMES)
def test_every_definition_is_there_and_used(name: str) -> None:
    """No reference leads nowhere, no definition is left over."""
    used = {part["$ref"] for part in _parts(SCHEMAS[name]) if isinstance(part.get("$ref"), str)}
    assert used == {f"#/$defs/{definition}" for definition in SCHEMAS[name]["$defs"]}


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_described(name: str) -> None:
    """Each field and each definition says in words what it holds."""
    schema = SCHEMAS[name]
    assert schema["description"]
    for kind, definition in schema["$defs"].items():
        assert definition["description"], kind
    for owner in (schema, *schema["$defs"].values()):
        for field, part in owner.get("properties", {}).items():
            assert part["description"], field


def test_items_of_a_batch_are_raw_events() -> None:
    """The batch holds the same schema of an event as the raw one, word for word."""
    alone, inside = SCHEMAS["raw"], SCHEMAS["batch"]["$defs"]
    own = {"$schema", "$id", "$defs", "title"}
    assert {name: alone[name] for name in alone if name not in own} == {
        name: part for name, part in inside["RawEvent"].items() if name != "title"
    }
    assert {name: inside[name] for name in alone["$defs"]} == alone["$defs"]


def test_fields_stand_in_the_order_of_the_output() -> None:
    """The enriched schema lists our fields in the order in which they are written."""
    assert tuple(SCHEMAS["enriched"]["properties"]) == OUR_FIELDS


@pytest.mark.parametrize("name", NAMES)
def test_context_fields_have_the_types_of_the_rule(name: str) -> None:
    """Every field of context is there, with the type whose absence is warned about."""
    fields = SCHEMAS[name]["$defs"]["Context"]["properties"]
    types = {field: part["anyOf"][0]["type"] for field, part in fields.items()}
    assert types == {field: JSON_TYPES[kind] for field, kind in CONTEXT_TYPES.items()}


def test_white_space_is_what_the_rules_strip() -> None:
    """The class in the patterns holds exactly the characters that `str.strip` takes away."""
    found = {chr(code) for code in range(0x110000) if re.fullmatch(WHITE, chr(code))}
    assert found == {chr(code) for code in range(0x110000) if not chr(code).strip()}


def test_bounds_keep_every_digit() -> None:
    """The bounds of amounts and ids stand in the files with their exact value."""
    definitions = SCHEMAS["raw"]["$defs"]
    edge = Decimal("99999999999999999999999999999.9999999995")
    assert definitions["Amount"]["exclusiveMaximum"] == edge
    assert definitions["Amount"]["exclusiveMinimum"] == edge.copy_negate()
    assert definitions["NumericId"]["exclusiveMaximum"] == 10**38
    assert definitions["NumericId"]["exclusiveMinimum"] == -(10**38)
