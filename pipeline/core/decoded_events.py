"""The events of a record as decoded values, for tools that filter, explain or repair them.

The worker does not decode an event as a whole. Which events a record has, and what they inherit
from their envelope, is decided by the same code for both.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.core.decode import BYTE_ORDER_MARK, decode, read_event, read_repaired
from pipeline.core.envelope import Envelope, is_batch, split, split_unreadable
from pipeline.core.json_value import JsonValue
from pipeline.core.members import Members, decoded
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
    """Decode every event of a record. Halves of surrogate pairs are replaced, as by default."""
    envelope = _envelope(value or b"")
    if envelope is None:
        members = _read(value or b"")
        event = decode(value, _DEEPEST) if type(members) is Invalid else decoded(members)
        return DecodedRecord([DecodedEvent(event, event)], is_batch=False)
    return DecodedRecord([_item(item, envelope) for item in envelope.items], is_batch=True)


def _envelope(value: bytes) -> Envelope | None:
    members = read_event(value, _DEEPEST)
    text = value.removeprefix(BYTE_ORDER_MARK)
    if type(members) is Invalid:
        return split_unreadable(text, _DEEPEST, repairs=True)
    if not is_batch(text, members):
        return None
    envelope = split(text)
    return None if type(envelope) is Invalid else envelope


def _read(value: bytes) -> Members | Invalid:
    members = read_event(value, _DEEPEST)
    if type(members) is not Invalid:
        return members
    repaired = read_repaired(value, _DEEPEST, members)
    return repaired if type(repaired) is Invalid else repaired.members


def _item(item: bytes, envelope: Envelope) -> DecodedEvent:
    members = _read(item)
    if type(members) is Invalid:
        sent = decode(item, _DEEPEST)
        return DecodedEvent(sent, sent)
    sent = decoded(members)
    envelope.merge(members)
    return DecodedEvent(sent, decoded(members))
