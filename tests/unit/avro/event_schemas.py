"""The Avro schemas of the outputs, and later ones of them."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import fastavro

from pipeline.avro.published import published
from pipeline.core.record import Role

SCHEMAS: Final[dict[Role, dict[str, Any]]] = {
    role: json.loads(published(role)) for role in (Role.ENRICHED, Role.IDENTIFY)
}


def parsed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as fastavro has it."""
    return dict(fastavro.parse_schema(copy.deepcopy(schema)))  # type: ignore[arg-type]


PARSED: Final = {role: parsed(schema) for role, schema in SCHEMAS.items()}


def with_column(role: Role, name: str, kind: Any, before: str) -> dict[str, Any]:
    """A later version of a schema, with one more column in front of another one."""
    schema = copy.deepcopy(SCHEMAS[role])
    names = [field["name"] for field in schema["fields"]]
    schema["fields"].insert(names.index(before), {"name": name, "type": kind})
    return parsed(schema)


def without_columns(role: Role, *names: str) -> dict[str, Any]:
    """An earlier version of a schema, without some columns."""
    schema = copy.deepcopy(SCHEMAS[role])
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in names]
    return parsed(schema)
