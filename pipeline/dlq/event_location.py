"""Where the event is in a letter's value: the whole of it, or the item of a batch envelope."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.decode import Envelope, split
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid

ITEM: Final = "/batch/0"
"""Where the item of an envelope of one item is."""


class Located(NamedTuple):
    """An event, and what stands around it."""

    event: dict[str, Any]
    """As it was sent: of an item, without what its envelope gives to it."""
    raw: bytes
    """Its own bytes."""
    envelope: Envelope | None
    """None when the event is the whole value."""

    def around(self, new: bytes) -> bytes:
        """The whole value with another event in this one's place."""
        return new if self.envelope is None else self.envelope.around(new)


def locate(value: bytes, decoded: JsonValue, source: Source | None) -> Located | None:
    """The event in a value (and what it decodes to); None when there is no object to speak of.

    Only the letter of an item is an envelope of one event; any other envelope is taken as a whole.
    """
    if type(decoded) is not dict:
        return None
    batch = decoded.get("batch")
    if source is None or source.item == NO_ITEM or type(batch) is not list or len(batch) != 1:
        return Located(decoded, value, None)
    envelope = split(value, batch)
    if type(batch[0]) is not dict or type(envelope) is Invalid:
        return None
    return Located(batch[0], envelope.items[0], envelope)
