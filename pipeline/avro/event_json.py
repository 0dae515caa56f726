"""An enriched event or identify message that was written as Avro, back as JSON.

The JSON form is the one that the worker would have written: the same fields in the same order, the
free-form parts with their own bytes. It differs only where Avro holds a string without the escapes
that the sender spelled it with.

Another version of the schema may have written the message. A column that it lacks is absent. A
column that this version does not know is kept: as a member of its own name, after our fields and
before the members of `extra`, in the place where an unknown field of the sender would be.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, Final, cast

import fastavro
import msgspec
from msgspec import Raw

from pipeline.core.encode import encode_event, encode_json
from pipeline.core.enriched_event import OUR_FIELDS, EnrichedEvent
from pipeline.core.timestamps import EPOCH, format_time
from pipeline.errors import UnreadableOutputError

RecordSchema = dict[str, Any]
"""A record schema that `fastavro.parse_schema` has parsed."""

EVENT: Final = "EnrichedTrackEvent"
"""Name of the record type of enriched events."""
IDENTIFY: Final = "IdentifyMessage"
"""Name of the record type of identify messages."""
_ENRICHMENT: Final = ("currencyDefaulted", "timestampSource", "unreadable", "warnings")
_OURS: Final = frozenset((*OUR_FIELDS, "revenue", "currency", "value", "extra"))
"""Columns that this version knows. Three of them repeat what `properties` holds."""
_MS: Final = timedelta(milliseconds=1)
_raw: Final[Callable[[str], Raw]] = msgspec.json.Decoder(Raw).decode
"""JSON text as it is. Raises msgspec.DecodeError when it is not exactly one document."""


def enriched_json(value: bytes, schema: RecordSchema) -> bytes:
    """The JSON form of an enriched event or identify message.

    `value` is the Avro data without any framing, `schema` the one that it was written with.
    Raises UnreadableOutputError when it is not such a message.
    """
    name = str(schema.get("name")).rpartition(".")[2]
    if name not in {EVENT, IDENTIFY}:
        raise UnreadableOutputError(
            f"the Avro schema {schema.get('name')} is not that of an enriched event or of an "
            "identify message: is this another topic?"
        )
    row = _read(value, schema)
    try:
        event, others = _event(row, is_track=name == EVENT), _others(row)
    except (msgspec.DecodeError, KeyError, TypeError, OverflowError, ValueError) as error:
        raise UnreadableOutputError(
            f"the Avro data is none of {name}: {type(error).__name__}: {error}"
        ) from error
    return encode_event(event, others)


def _read(value: bytes, schema: RecordSchema) -> dict[str, Any]:
    data = BytesIO(value)
    try:
        row = fastavro.schemaless_reader(data, schema, None)
    except Exception as error:  # what fastavro raises for broken data is not defined
        raise UnreadableOutputError(
            f"the Avro data does not fit its schema {schema['name']}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if data.tell() != len(value):
        raise UnreadableOutputError(
            f"the Avro data does not fit its schema {schema['name']}: "
            f"{len(value) - data.tell()} bytes follow its end"
        )
    return cast("dict[str, Any]", row)


def _event(row: dict[str, Any], *, is_track: bool) -> EnrichedEvent:
    get = row.get
    return EnrichedEvent(
        row["type"],
        Raw(encode_json(row["event"])) if is_track else None,
        row["messageId"],
        get("userId"),
        get("anonymousId"),
        _time(get("timestamp")),
        _time(get("originalTimestamp")),
        _time(get("sentAt")),
        _time(get("receivedAt")),
        _part(get("properties")),
        _part(get("traits")),
        _part(get("context")),
        _part(get("integrations")),
        _enrichment(get("enrichment") or {}) if is_track else None,
    )


def _time(column: datetime | None) -> str | None:
    return None if column is None else format_time((column - EPOCH) // _MS)


def _part(column: str | None) -> Raw | None:
    return None if column is None else _raw(column)


def _enrichment(column: dict[str, Any]) -> dict[str, Any]:
    """The object as JSON has it: what is empty, false or null is absent."""
    known = {name: column[name] for name in _ENRICHMENT if column.get(name)}
    return known | {name: value for name, value in column.items() if name not in _ENRICHMENT}


def _others(row: dict[str, Any]) -> bytes:
    """The members that are not ours as JSON without braces, each with its own bytes."""
    unknown = {name: value for name, value in row.items() if name not in _OURS}
    sent = row.get("extra") or ""
    if sent:
        msgspec.json.decode(sent, type=dict[str, Raw])
    members = (encode_json(unknown)[1:-1], sent.strip()[1:-1].strip().encode())
    return b",".join(filter(None, members))
