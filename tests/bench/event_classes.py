"""Classes of events: the same plain events, each class with one thing that a rule must look at.

So the cost of a class, compared with that of `PLAIN`, is the cost of that one thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from pipeline.core.json_value import JsonObject
from pipeline.core.record import Record
from pipeline.demo.generate import Generated, Generator

PLAIN: Final = "single, plain"
GENERATED: Final = "single, as generated"
DEAD_LETTERS: Final = ("dead letter, no user", "dead letter, not JSON")
_ITEMS: Final = 10
_SEED: Final = 7
_SPECIAL_FIELDS: Final = {"writeKey", "_metadata", "action", "originalTimestamp", "receivedAt"}
_SPECIAL_PROPERTIES: Final = {"revenue", "currency", "value"}
_TRAITS: Final = {"email": "user1@mail.example", "firstName": "Ada", "plan": "Pro", "logins": 771}
_UNKNOWN: Final = {
    "projectId": "prj_1842",
    "requestId": "0d2f1f5e-3f6c-4a86-9f0e-1f3f6f1f2a55",
    "debug": {"attempt": 1, "queue": ["a", "b"], "flushed": True},
}
_WITH_ESCAPES: Final = {"title": "Über uns – Café", "path": "/über-uns/café", "from": "NTT ドコモ"}


class EventClass(NamedTuple):
    """Records of one class."""

    records: list[Record]
    events: int
    """Number of events in all of them."""

    @property
    def mean_bytes(self) -> int:
        """Size of an event, with its share of the envelope."""
        return sum(len(record.value or b"") for record in self.records) // self.events


def compact(event: JsonObject) -> bytes:
    """Encode as browsers and Go do: no spaces, no escapes that are not needed."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _spaced(event: JsonObject) -> bytes:
    """Encode as SDKs in Python do, which leave the separators as they are."""
    return json.dumps(event).encode()


def _escaped(event: JsonObject) -> bytes:
    r"""Encode as PHP does: `\/`, and every character outside of ASCII as `\u00e9`."""
    return json.dumps(event, separators=(",", ":")).replace("/", "\\/").encode()


def _with_context(event: JsonObject, **fields: Any) -> JsonObject:
    return {**event, "context": {**event.get("context", {}), **fields}}


def _with_properties(event: JsonObject, **fields: Any) -> JsonObject:
    return {**event, "properties": {**event.get("properties", {}), **fields}}


_MAKE: Final[dict[str, Callable[[JsonObject], bytes]]] = {
    PLAIN: compact,
    "with context.traits": lambda event: compact(_with_context(event, traits=_TRAITS)),
    "with revenue, no currency": lambda event: compact(_with_properties(event, revenue=49.99)),
    "with revenue as text": lambda event: compact(
        _with_properties(event, revenue="49.99", currency="EUR")
    ),
    "with unknown fields": lambda event: compact({**event, **_UNKNOWN}),
    "with spaces, as from Python": _spaced,
    "with escapes, as from PHP": lambda event: _escaped(_with_properties(event, **_WITH_ESCAPES)),
    DEAD_LETTERS[0]: lambda event: compact({**event, "userId": None, "anonymousId": ""}),
    DEAD_LETTERS[1]: lambda event: compact(event)[:-1],
}


def event_classes(count: int) -> Iterator[tuple[str, EventClass]]:
    """Yield each class by name, `PLAIN` first; made one by one, since all would fill the memory."""
    plain = list(islice(plain_events(), count))
    for name, make in _MAKE.items():
        yield name, singles(make(json.loads(event)) for event in plain)
        if name == PLAIN:
            yield f"item of a batch call of {_ITEMS}", _batches(plain)
    good = islice(Generator(_SEED, invalid_share=0, batch_share=0), count)
    yield GENERATED, singles(each.value or b"" for each in good)


def plain_events() -> Iterator[bytes]:
    """Yield generated events on which no rule has anything to do but to check and to copy."""
    for each in Generator(_SEED, invalid_share=0, batch_share=0):
        if (event := _plain(each)) is not None:
            yield compact(event)


def _plain(generated: Generated) -> JsonObject | None:
    event: JsonObject = json.loads(generated.value or b"")
    properties, context = event.get("properties") or {}, event.get("context") or {}
    is_plain = (
        event.get("type") == "track"
        and isinstance(event.get("userId", ""), str)
        and {"messageId", "timestamp", "sentAt"} <= event.keys()
        and not _SPECIAL_FIELDS & event.keys()
        and not _SPECIAL_PROPERTIES & properties.keys()
        and "traits" not in context
    )
    return event if is_plain else None


def singles(values: Iterator[bytes]) -> EventClass:
    """Make one record of each value."""
    records = [_record(value, offset) for offset, value in enumerate(values)]
    return EventClass(records, len(records))


def _batches(events: list[bytes]) -> EventClass:
    return batches_of(events, _ITEMS)


def batches_of(events: list[bytes], items: int) -> EventClass:
    """Make envelopes of so many items; a rest that fills none is left out."""
    records = []
    for start in range(0, len(events) - items + 1, items):
        joined = b",".join(events[start : start + items])
        value = b'{"batch":[%b],"sentAt":"2025-01-01T00:00:00.000Z"}' % joined
        records.append(_record(value, start // items))
    return EventClass(records, len(records) * items)


def _record(value: bytes, offset: int) -> Record:
    return Record(value, b"user", (), 1_735_689_600_000, "track.raw", 0, offset)
