"""Shared fields of a batch envelope, merged into its items (contract §2)."""

from __future__ import annotations

from typing import Any, Final

from tests.oracle.contract_1.json_value import JsonValue

_MERGED: Final = ("context", "integrations")
_FILLED: Final = ("sentAt", "receivedAt")


def merge(item: JsonValue, envelope: dict[str, Any]) -> JsonValue:
    """The item with the fields that it shares with the envelope; its own take precedence.

    Merging is one level deep. A shared `context` or `integrations` that is not an object is
    passed on as it is, so that validation rejects the item instead of losing the value.
    """
    if type(item) is not dict:
        return item
    for name in _MERGED:
        shared, own = envelope.get(name), item.get(name)
        if shared is None:
            continue
        if own is None or own == [] or not (type(shared) is dict or shared == []):
            item[name] = shared
        elif type(own) is dict and type(shared) is dict:
            item[name] = {**shared, **own}
    for name in _FILLED:
        if item.get(name) is None and envelope.get(name) is not None:
            item[name] = envelope[name]
    return item
