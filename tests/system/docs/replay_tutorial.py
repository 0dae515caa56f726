"""Events of docs/how-to/test-a-change.md: a day of a shop whose rules are to change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.brokers import Sent

COUNT: Final = 400
_DAY_MS: Final = 86_400_000
_PARTITIONS: Final = 3


def sent(now: int) -> list[Sent]:
    """The raw records of the last day before `now`, epoch milliseconds."""
    step = _DAY_MS // (COUNT + 1)
    return [
        Sent(
            json.dumps(each, separators=(",", ":")).encode(),
            b"k%d" % n,
            (),
            now - _DAY_MS + step * (n + 1),
            n % _PARTITIONS,
        )
        for n, each in enumerate(_events())
    ]


def _events() -> Iterator[dict[str, Any]]:
    for n in range(COUNT):
        yield {
            "event": "Order Completed" if n % 2 else "Product Viewed",
            "messageId": f"m-{n}",
            "userId": f"u{n % 50}",
            "properties": _order(n) if n % 2 else {"product_id": f"p-{n % 9}"},
            "context": {"network": "wifi"} if n % 40 == 12 else {"ip": "192.0.2.7"},
        }


def _order(n: int) -> dict[str, Any]:
    """Two shops state their currency, one does not, one takes bitcoins."""
    order: dict[str, Any] = {"order_id": f"A-{n}", "revenue": n % 80 + 0.9}
    if n % 8 != 3:
        order["currency"] = "XBT" if n % 16 == 5 else "EUR"
    return order
