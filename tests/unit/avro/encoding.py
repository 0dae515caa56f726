"""What fastavro writes and reads, for tests that hold the encoder against it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import fastavro
from msgspec import Raw

from pipeline.avro.published import AvroSchema, published
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.formats import TypedValues
from pipeline.core.members import read_value
from pipeline.core.record import Role

ENRICHED_TEXT: Final = published(Role.ENRICHED)
IDENTIFY_TEXT: Final = published(Role.IDENTIFY)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT: Final = Context(prec=38, rounding=ROUND_HALF_EVEN)
_NINE_PLACES: Final = Decimal("1e-9")
_TIMES: Final = {
    "timestamp": "timestamp",
    "originalTimestamp": "original_timestamp",
    "sentAt": "sent_at",
    "receivedAt": "received_at",
}


def written_by_fastavro(schema: AvroSchema, value: Any) -> bytes:
    """A value as fastavro encodes it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, value)
    return stream.getvalue()


def read_by_fastavro(schema: AvroSchema, body: bytes) -> dict[str, Any]:
    """A record as fastavro reads it, with times as epoch milliseconds; all bytes are read."""
    stream = io.BytesIO(body)
    record: Any = fastavro.schemaless_reader(stream, schema, None)
    assert not stream.read()
    return {
        name: (value - _EPOCH) // timedelta(milliseconds=1)
        if isinstance(value, datetime)
        else value
        for name, value in record.items()
    }


def amount(number: int | Decimal | None) -> Decimal | None:
    """An amount in nine places."""
    return None if number is None else _EXACT.quantize(Decimal(number), _NINE_PLACES)


def columns(event: EnrichedEvent, others: bytes, typed: TypedValues) -> dict[str, Any]:
    """The fields of an enriched event in Avro, as the contract describes them (§5)."""
    enrichment = event.enrichment or {}
    return {
        "type": event.type,
        "event": None if event.event is None else read_value(event.event),
        "messageId": event.message_id,
        "userId": event.user_id,
        "anonymousId": event.anonymous_id,
        **{name: getattr(typed, attribute) for name, attribute in _TIMES.items()},
        "revenue": amount(typed.revenue),
        "currency": typed.currency,
        "value": amount(typed.value),
        "properties": _text(event.properties),
        "traits": _text(event.traits),
        "context": _text(event.context),
        "integrations": _text(event.integrations),
        "extra": f"{{{others.decode()}}}" if others else None,
        "enrichment": {
            "currencyDefaulted": enrichment.get("currencyDefaulted", False),
            "timestampSource": enrichment.get("timestampSource"),
            "unreadable": enrichment.get("unreadable"),
            "warnings": enrichment.get("warnings", []),
        },
    }


def fields_of(schema: AvroSchema, record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a schema has."""
    assert isinstance(schema, dict)
    return {field["name"]: record[field["name"]] for field in schema["fields"]}


def _text(part: Raw | None) -> str | None:
    return None if part is None else bytes(part).decode()
