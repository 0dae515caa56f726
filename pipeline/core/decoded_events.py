"""The events of a record as decoded values, for tools that filter, explain or repair them.

The worker does not decode an event as a whole. Which events a record has, and what they inherit
from their envelope, is decided by the same code for both.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.core.decode import BYTE_ORDER_MARK, decode, read_event
from pipeline.core.envelope import Envelope, is_batch, split
from pipeline.core.json_value import JsonValue
from pipeline.core.members import decoded
from pipeline.core.reasons import Invalid

_DEEPEST: Final = 512


class DecodedEvent(NamedTuple):
    """One event of a record. Both values are `Invalid` when it can't be read."""

    sent: JsonValue
    """The event as it was sent."""
    merged: JsonValue
    """The event with the fields that it shares with its envelope."""


class DecodedRecord(NamedTuple):
    """The events of one record."""

    events: list[DecodedEvent]
    """The items of a batch call in order; of any other record, the one that it is."""
    is_batch: bool
    """Whether the record is a batch call that can be split into items."""


def decoded_events(value: bytes | None) -> DecodedRecord:
    """Decode every event of a record."""
    members = read_event(value, _DEEPEST)
    if type(members) is Invalid:
        return _single(decode(value, _DEEPEST))
    text = (value or b"").removeprefix(BYTE_ORDER_MARK)
    envelope = split(text) if is_batch(text, members) else None
    if envelope is None or type(envelope) is Invalid:
        return _single(decoded(members))
    return DecodedRecord([_item(item, envelope) for item in envelope.items], is_batch=True)


def _single(event: JsonValue) -> DecodedRecord:
    return DecodedRecord([DecodedEvent(event, event)], is_batch=False)


def _item(item: bytes, envelope: Envelope) -> DecodedEvent:
    members = read_event(item, _DEEPEST)
    if type(members) is Invalid:
        sent = decode(item, _DEEPEST)
        return DecodedEvent(sent, sent)
    sent = decoded(members)
    envelope.merge(members)
    return DecodedEvent(sent, decoded(members))
