"""Makes the published JSON Schemas (draft 2020-12) of the input and the outputs.

The rules in validate.py are written by hand, since a general validator takes several times as long.
The schemas are therefore made from types of their own, which share the constants of the rules
(patterns, bounds, codes, context fields). Tests make sure that both agree on every row of the table
of values, and on generated events that are almost valid. Nothing is validated with these types at
run time.

The schemas describe the default settings. What JSON Schema can't express is in the descriptions:
limits in bytes and levels, the magnitude of an amount in text, how a number was written.
The schemas of earlier versions are as they were published: nothing makes them anew.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.encode import encode_json
from schemas.source.enriched import EnrichedEvent, IdentifyMessage, Properties
from schemas.source.raw import Batch, RawEvent, RawProperties
from schemas.source.values import Schema

META_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"

_TYPES: Final[dict[str, tuple[type[BaseModel], str]]] = {
    "raw": (RawEvent, "Raw track event"),
    "batch": (Batch, "Batch of raw track events"),
    "enriched": (EnrichedEvent, "Enriched track event"),
    "identify": (IdentifyMessage, "Identify message"),
}
NAMES: Final = tuple(_TYPES)
"""Names of the published schemas."""

_RULES: Final = {
    kind.__name__: kind.RULES
    for kind in (RawEvent, RawProperties, EnrichedEvent, Properties, IdentifyMessage)
}

_WRAPPED_LINE = re.compile(r"(?<!\n)\n(?!\n)")


class _SchemaGenerator(GenerateJsonSchema):
    """Generates schemas without the titles and defaults of fields, which add nothing here."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002  pydantic's own
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def sort(self, value: Schema, parent_key: str | None = None) -> Schema:  # noqa: ARG002
        return value


def schema(name: str) -> Schema:
    """One of the published schemas, with exact bounds (int and Decimal)."""
    kind, title = _TYPES[name]
    made = kind.model_json_schema(schema_generator=_SchemaGenerator)
    definitions = made.pop("$defs")
    for other, part in definitions.items():
        part.update(_RULES.get(other, {}))
    head = {
        "$schema": META_SCHEMA,
        "$id": f"urn:track-pipeline:schema:{name}:{CONTRACT_VERSION}",
        "title": title,
        "description": made["description"],
    }
    rules = _RULES.get(kind.__name__, {})
    whole = head | made | rules | {"title": title, "$defs": definitions}
    unwrapped: Schema = _unwrapped(whole)
    return unwrapped


def document(name: str) -> bytes:
    """The schema in its published form: JSON text, numbers with all digits."""
    return msgspec.json.format(encode_json(schema(name)), indent=2) + b"\n"


def _unwrapped(value: Any) -> Any:  # noqa: ANN401  any part of a schema
    """A part of a schema with each paragraph of a description on one line."""
    if isinstance(value, list):
        return [_unwrapped(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _WRAPPED_LINE.sub(" ", part)
        if name == "description" and isinstance(part, str)
        else _unwrapped(part)
        for name, part in value.items()
    }
