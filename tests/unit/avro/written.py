"""Outputs as Avro, written by fastavro from their JSON form: what any other writer would write."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from pipeline.core.currencies import ISO_4217
from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.members import NULL, read_any_value, read_members, read_value, written_without
from pipeline.core.money import COLUMN_DECIMALS, LIMIT
from tests.unit.avro.encoding import written_by_fastavro

TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
PARTS: Final = ("properties", "traits", "context", "integrations")
_NINE_PLACES: Final = Decimal(1).scaleb(-COLUMN_DECIMALS)
_EXACT: Final = Context(prec=140, rounding=ROUND_HALF_EVEN)


def columns(value: bytes) -> dict[str, Any]:
    """The columns of an output that is JSON."""
    members = read_members(value)
    row: dict[str, Any] = {
        name: bytes(raw).decode() if name in PARTS else read_value(raw)
        for name, raw in members.items()
        if name in OUR_FIELDS
    }
    row |= {name: datetime.fromisoformat(row[name]) for name in TIMES if name in members}
    properties = read_members(members["properties"]) if "properties" in members else {}
    for name in ("revenue", "value"):
        row[name] = amount(read_any_value(properties.get(name, NULL)))
    currency = read_any_value(properties.get("currency", NULL))
    row["currency"] = currency if isinstance(currency, str) and currency in ISO_4217 else None
    others = written_without(value, frozenset(OUR_FIELDS))
    row["extra"] = f"{{{others.decode()}}}" if others else None
    if "enrichment" in row:
        row["enrichment"] = {"currencyDefaulted": False, "warnings": []} | row["enrichment"]
    return row


def amount(number: Any) -> Decimal | None:
    """What a column of nine decimals holds of a property; None of what is no amount."""
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    if not Decimal(number).is_finite() or not -130 < Decimal(number).adjusted() < 40:
        return None
    rounded = Decimal(number).quantize(_NINE_PLACES, context=_EXACT)
    return rounded if rounded.copy_abs() < LIMIT else None


def written(value: bytes, schema: dict[str, Any]) -> bytes:
    """An output that is JSON as Avro."""
    names = {field["name"] for field in schema["fields"]}
    row = {name: column for name, column in columns(value).items() if name in names}
    return written_by_fastavro(schema, row)
