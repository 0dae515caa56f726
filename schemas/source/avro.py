"""Makes the published Avro schemas of the outputs (contract §5, "Avro form").

Fields and their descriptions are those of the JSON Schemas: what is optional there is nullable
here, and a description is only followed by what the Avro form adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.encode import encode_json
from pipeline.core.money import COLUMN_DECIMALS, LIMIT
from schemas.source.document import schema
from schemas.source.values import Schema

NAMESPACE: Final = "track_pipeline"
"""Never versioned: a reader resolves records by their full name."""
SCALE: Final = COLUMN_DECIMALS
PRECISION: Final = len(str(LIMIT - 1)) + SCALE

_RECORD_NOTE: Final = (
    " What is absent from the JSON form is null, false or empty here. Free-form parts are JSON "
    "text, with the bytes that they have in the JSON form; line breaks between tokens remain."
)
_TIME_NOTE: Final = " Milliseconds since 1970-01-01T00:00:00Z, negative before it."
_AMOUNT_NOTE: Final = (
    f" Here rounded half to even to {SCALE} decimals; `properties` has the exact digits. Null when "
    "`properties` has none, or anything but an amount."
)
_CURRENCY_NOTE: Final = " Null when `properties` has none, or anything but a code."
_OBJECT_NOTE: Final = " JSON text of an object."
_EXTRA: Final = "Unknown top-level fields, kept as sent."

_STRING: Final = "string"
_TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}
_AMOUNT: Final = {
    "type": "bytes",
    "logicalType": "decimal",
    "precision": PRECISION,
    "scale": SCALE,
}
_TEXTS: Final = {"type": "array", "items": _STRING}
_TEXTS_BY_NAME: Final = {"type": "map", "values": _STRING}

_EMPTY: Final[dict[str, Any]] = {"boolean": False, "array": []}
"""Default of an optional field that has an empty value of its own; the others become nullable."""


class _Column(NamedTuple):
    """A field of a record: its name, its Avro type, what its description adds."""

    name: str
    avro_type: Any
    note: str = ""


_IDS: Final = (
    _Column("messageId", _STRING),
    _Column("userId", _STRING),
    _Column("anonymousId", _STRING),
)
_TIMES: Final = (
    _Column("timestamp", _TIME, _TIME_NOTE),
    _Column("originalTimestamp", _TIME, _TIME_NOTE),
    _Column("sentAt", _TIME, _TIME_NOTE),
    _Column("receivedAt", _TIME, _TIME_NOTE),
)
_AMOUNTS: Final = (
    _Column("revenue", _AMOUNT, _AMOUNT_NOTE),
    _Column("currency", _STRING, _CURRENCY_NOTE),
    _Column("value", _AMOUNT, _AMOUNT_NOTE),
)
_CONTEXT: Final = (
    _Column("context", _STRING, _OBJECT_NOTE),
    _Column("integrations", _STRING, _OBJECT_NOTE),
)
_ENRICHMENT: Final = (
    _Column("currencyDefaulted", "boolean"),
    _Column("timestampSource", _STRING),
    _Column("unreadable", _TEXTS_BY_NAME),
    _Column("warnings", _TEXTS),
)


def _field(column: _Column, source: Schema) -> Schema:
    """A field of a record, described as in the JSON Schema of the object that has it."""
    head = {
        "name": column.name,
        "doc": source["properties"][column.name]["description"] + column.note,
    }
    if column.name in source.get("required", ()):
        return head | {"type": column.avro_type}
    kind = column.avro_type["type"] if isinstance(column.avro_type, dict) else column.avro_type
    if kind in _EMPTY:
        return head | {"type": column.avro_type, "default": _EMPTY[kind]}
    return head | {"type": ["null", column.avro_type], "default": None}


def _fields(columns: Iterable[_Column], source: Schema) -> list[Schema]:
    return [_field(column, source) for column in columns]


def _record(name: str, doc: str, fields: list[Schema]) -> Schema:
    return {"type": "record", "name": name, "doc": doc, "fields": fields}


def _published_record(name: str, source: Schema, fields: list[Schema]) -> Schema:
    summary, *_ = source["description"].split("\n\n")
    record = _record(name, summary + _RECORD_NOTE, fields)
    return {"type": "record", "name": name, "namespace": NAMESPACE} | record


def _enriched() -> Schema:
    whole = schema("enriched")
    properties, enrichment = whole["$defs"]["Properties"], whole["$defs"]["Enrichment"]
    kind = _record("Enrichment", enrichment["description"], _fields(_ENRICHMENT, enrichment))
    extra = {
        "name": "extra",
        "doc": _EXTRA + _OBJECT_NOTE,
        "type": ["null", _STRING],
        "default": None,
    }
    head = (_Column("type", _STRING), _Column("event", _STRING), *_IDS, *_TIMES)
    free = (
        _Column("properties", _STRING, _OBJECT_NOTE),
        _Column("traits", _STRING, " JSON text."),
        *_CONTEXT,
    )
    fields = [
        *_fields(head, whole),
        *_fields(_AMOUNTS, properties),
        *_fields(free, whole),
        extra,
        _field(_Column("enrichment", kind), whole),
    ]
    return _published_record("EnrichedTrackEvent", whole, fields)


def _identify() -> Schema:
    whole = schema("identify")
    traits = _Column("traits", _STRING, _OBJECT_NOTE)
    fields = _fields((_Column("type", _STRING), *_IDS, *_TIMES, traits, *_CONTEXT), whole)
    return _published_record("IdentifyMessage", whole, fields)


_SCHEMAS: Final = {"track-enriched": _enriched, "track-identify": _identify}
AVRO_NAMES: Final = tuple(_SCHEMAS)
"""Names of the published Avro schemas."""


def avro_document(name: str) -> bytes:
    """The Avro schema in its published form: JSON text."""
    return msgspec.json.format(encode_json(_SCHEMAS[name]()), indent=2) + b"\n"
