"""The Avro schemas of the outputs, and later ones of them."""

from __future__ import annotations

import copy
from typing import Any, Final

import fastavro

from pipeline.core.record import Role

_TEXT: Final = ["null", "string"]
_TIME: Final = ["null", {"type": "long", "logicalType": "timestamp-millis"}]
_AMOUNT: Final = [
    "null",
    {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9},
]
_IDS: Final = {"messageId": "string", "userId": _TEXT, "anonymousId": _TEXT}
_TIMES: Final = dict.fromkeys(("timestamp", "originalTimestamp", "sentAt", "receivedAt"), _TIME)
_MONEY: Final = {"revenue": _AMOUNT, "currency": _TEXT, "value": _AMOUNT}


def _fields(types: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": kind} | ({"default": None} if isinstance(kind, list) else {})
        for name, kind in types.items()
    ]


_ENRICHMENT: Final = {
    "type": "record",
    "name": "Enrichment",
    "fields": [
        {"name": "currencyDefaulted", "type": "boolean", "default": False},
        {"name": "timestampSource", "type": _TEXT, "default": None},
        {
            "name": "unreadable",
            "type": ["null", {"type": "map", "values": "string"}],
            "default": None,
        },
        {"name": "warnings", "type": {"type": "array", "items": "string"}, "default": []},
    ],
}
SCHEMAS: Final[dict[Role, dict[str, Any]]] = {
    Role.ENRICHED: {
        "type": "record",
        "name": "EnrichedTrackEvent",
        "namespace": "track_pipeline",
        "fields": _fields(
            {"type": "string", "event": "string"}
            | _IDS
            | _TIMES
            | _MONEY
            | {"properties": "string", "traits": _TEXT, "context": "string"}
            | {"integrations": _TEXT, "extra": _TEXT, "enrichment": _ENRICHMENT}
        ),
    },
    Role.IDENTIFY: {
        "type": "record",
        "name": "IdentifyMessage",
        "namespace": "track_pipeline",
        "fields": _fields(
            {"type": "string"}
            | _IDS
            | _TIMES
            | {"traits": "string", "context": "string", "integrations": _TEXT}
        ),
    },
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
