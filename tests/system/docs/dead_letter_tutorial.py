"""Events of docs/how-to/handle-dead-letters.md: an app's new version writes amounts wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.brokers import Sent

_COUNT: Final = 400
_ROBOTS: Final = 6
_HOUR_MS: Final = 3_600_000
_PARTITIONS: Final = 3


def sent(now: int) -> list[Sent]:
    """The raw records of the last hour before `now`, epoch milliseconds."""
    values = [json.dumps(each, separators=(",", ":")).encode() for each in _events()]
    return [
        Sent(value, b"k%d" % n, (), now - _HOUR_MS + 1000 * n, n % _PARTITIONS)
        for n, value in enumerate(values)
    ]


def _events() -> Iterator[dict[str, Any]]:
    for n in range(_COUNT):
        yield _event(n)
    for n in range(_ROBOTS):
        yield {"event": "Page Seen", "messageId": f"x-{n}", "context": _context("analytics.js")}


def _event(n: int) -> dict[str, Any]:
    android, old = n % 4 == 3, n % 20 == 7
    library = "analytics-android" if android else "analytics.js"
    properties: dict[str, Any] = {"product_id": f"p-{n % 9}"}
    if n % 2:
        wrong = android and not old
        amount = f"{n % 80 + 1},90" if wrong else n % 80 + 0.9
        properties = {"order_id": f"A-{n}", "currency": "EUR", "revenue": amount}
    return {
        "event": "Order Completed" if n % 2 else "Product Viewed",
        "messageId": f"m-{n}",
        "userId": f"u{n % 50}",
        "properties": properties,
        "context": _context(library, old=old),
    }


def _context(library: str, *, old: bool = False) -> dict[str, Any]:
    version = {"analytics.js": "2.11.1", "analytics-android": "4.1.3" if old else "4.2.0"}[library]
    return {"library": {"name": library, "version": version}, "ip": "192.0.2.7"}
