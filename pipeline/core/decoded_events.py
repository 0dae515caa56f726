"""The events of a record for tools that filter, explain or repair them.

The worker does not decode an event as a whole. Which events a record has, and what they inherit
from their envelope, is decided by the same code for both. Halves of surrogate pairs are replaced,
as by default, and a number that can't be read stays raw.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NamedTuple

from msgspec import Raw

from pipeline.core.decode import (
    BYTE_ORDER_MARK,
    read_event,
    read_record,
    read_repaired,
    too_deep,
)
from pipeline.core.decoded_value import DEEPEST, decoded_value
from pipeline.core.envelope import (
    LEVELS,
    Envelope,
    open_envelope,
    shared_fields,
    split_unreadable,
)
from pipeline.core.json_value import JsonValue
from pipeline.core.members import (
    NULL,
    Members,
    decoded,
    is_empty,
    is_null,
    kind_of,
    read_items,
)
from pipeline.core.reasons import Invalid

_DEEPEST_ITEM: Final = DEEPEST - LEVELS


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


def merged_events(
    value: bytes | None, names: Container[str] | None = None
) -> list[Members | Invalid]:
    """Every event of a record as raw members, with the fields that it shares with its envelope.

    `names` are those of the shared fields that are needed; None stands for all. Of a record that is
    rejected because it has `batch` twice, these are the items of the last one.
    """
    sent = value or b""
    members = read_event(sent, DEEPEST)
    if type(members) is Invalid:
        envelope = split_unreadable(sent.removeprefix(BYTE_ORDER_MARK), DEEPEST, repairs=True)
        if envelope is None:
            return [_repaired(sent, members, DEEPEST)]
    elif not is_null(members.get("event")) or not _has_items(batch := members.get("batch", NULL)):
        return [members]
    else:
        # What would be around a single item is not needed.
        items = [bytes(item) for item in read_items(batch)]
        envelope = Envelope(items, b"", b"", shared_fields(members))
    if names is not None:
        shared = {name: field for name, field in envelope.shared.items() if name in names}
        envelope = envelope._replace(shared=shared)
    return [_merged(item, envelope) for item in envelope.items]


def _has_items(batch: Raw) -> bool:
    return kind_of(batch) is list and not is_empty(batch)


def decoded_events(value: bytes | None) -> DecodedRecord:
    """Decode every event of a record."""
    envelope, members = _open(value or b"")
    if envelope is not None:
        return DecodedRecord([_decoded(item, envelope) for item in envelope.items], is_batch=True)
    event = decoded_value(value) if type(members) is Invalid else decoded(members)
    return DecodedRecord([DecodedEvent(event, event)], is_batch=False)


def read_envelope(value: bytes) -> Envelope | None:
    """The envelope of a batch call; None for any other value, and when it can't be split."""
    return _open(value)[0]


def _open(value: bytes) -> tuple[Envelope | None, Members | Invalid]:
    """The envelope of a batch call, and the members of the record as a whole."""
    members = read_record(value, DEEPEST)
    text = value.removeprefix(BYTE_ORDER_MARK)
    if type(members) is Invalid:
        found = split_unreadable(text, DEEPEST, repairs=True)
        return found, members if found is not None else _repaired(value, members, DEEPEST)
    envelope = open_envelope(text, members, DEEPEST, repairs=True)
    if envelope is None or type(envelope) is Invalid:
        return None, too_deep(text, DEEPEST) or members
    return envelope, members


def _repaired(value: bytes, invalid: Invalid, max_depth: int) -> Members | Invalid:
    repaired = read_repaired(value, max_depth, invalid)
    return repaired if type(repaired) is Invalid else repaired.members


def _item(item: bytes) -> Members | Invalid:
    members = read_event(item, _DEEPEST_ITEM)
    return _repaired(item, members, _DEEPEST_ITEM) if type(members) is Invalid else members


def _merged(item: bytes, envelope: Envelope) -> Members | Invalid:
    members = _item(item)
    if type(members) is not Invalid:
        envelope.merge(members)
    return members


def _decoded(item: bytes, envelope: Envelope) -> DecodedEvent:
    members = _item(item)
    if type(members) is Invalid:
        sent = decoded_value(item)
        return DecodedEvent(sent, sent)
    own = dict(members)
    sent = decoded(own)
    envelope.merge(members)
    inherited = {name: value for name, value in members.items() if value is not own.get(name)}
    return DecodedEvent(sent, {**sent, **decoded(inherited)})
