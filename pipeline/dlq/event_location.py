"""Location of the event in the value of a dead letter: all of it, or an item of an envelope."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.decoded_events import read_envelope
from pipeline.core.envelope import Envelope
from pipeline.core.json_value import JsonValue

ITEM: Final = "/batch/0"
"""JSON Pointer to the item of an envelope with one item."""


class Located(NamedTuple):
    """An event, and the envelope around it."""

    event: dict[str, Any]
    """The event as it was sent; an item lacks the shared fields of its envelope."""
    raw: bytes
    """Bytes of the event alone."""
    envelope: Envelope | None
    """Envelope of the item; None when the event is the whole value."""

    def around(self, new: bytes) -> bytes:
        """Build the whole value with another event instead of this one."""
        return new if self.envelope is None else self.envelope.around(new)


def locate(value: bytes, decoded: JsonValue, source: Source | None) -> Located | None:
    """Locate the event in a value, which is given decoded, too; None when there is no object.

    Only the dead letter of a batch item has an envelope of one event; any other envelope counts as
    the event itself.
    """
    if type(decoded) is not dict:
        return None
    batch = decoded.get("batch")
    if source is None or source.item == NO_ITEM or type(batch) is not list or len(batch) != 1:
        return Located(decoded, value, None)
    envelope = read_envelope(value)
    if type(batch[0]) is not dict or envelope is None:
        return None
    return Located(batch[0], envelope.items[0], envelope)
