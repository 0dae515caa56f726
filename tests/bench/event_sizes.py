"""Events of given sizes, for measuring how the cost grows with the size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from pipeline.core.json_value import JsonObject
from tests.bench.event_classes import EventClass, compact, plain_events, singles

SIZES: Final = (200, 900, 5_000, 50_000)
"""Bytes: the least that a good event has, a usual one, an order with many items, an abuse."""
_TOTAL: Final = 20_000_000
"""Bytes of all events of one size, so that each size takes about as long."""
_FEWEST: Final = 400
_PRODUCT: Final = {
    "product_id": "507f1f77bcf86cd799430021",
    "sku": "ST-01695-21",
    "name": "Dotted notebook A5",
    "category": "Stationery",
    "price": 16.95,
    "quantity": 3,
}


def sized_events(count: int) -> Iterator[tuple[str, EventClass]]:
    """Yield events by their nominal size in bytes, at most `count` of each."""
    for size in SIZES:
        number = min(count, max(_FEWEST, _TOTAL // size))
        yield str(size), singles(events_of(size, number))


def events_of(size: int, count: int) -> Iterator[bytes]:
    """Yield different events of about this size."""
    for event in islice(plain_events(), count):
        yield compact(_of_size(json.loads(event), size))


def _of_size(event: JsonObject, size: int) -> JsonObject:
    """Leave out what an event can do without, or add products, until it has the size."""
    least = {name: event[name] for name in ("type", "event", "messageId", "timestamp")}
    least["userId"] = event.get("userId") or event.get("anonymousId")
    missing = size - len(compact(event))
    if size < len(compact(event)):
        return _padded(least, size - len(compact(least)))
    products: list[Any] = [_PRODUCT] * (missing // len(compact(_PRODUCT)))
    properties = {**(event.get("properties") or {}), "products": products}
    grown = {**event, "properties": properties}
    return _padded(grown, size - len(compact(grown)))


def _padded(event: JsonObject, missing: int) -> JsonObject:
    room = missing - len(b',"note":""')
    return {**event, "note": "x" * room} if room > 0 else event
