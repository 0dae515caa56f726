"""One event as it was sent, with what is kept around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.envelope import Envelope
from pipeline.core.origin import Origin
from pipeline.core.record import Record


class SentEvent(NamedTuple):
    """One event of a record, as it was sent."""

    record: Record
    origin: Origin
    original: bytes
    """The event's own bytes."""
    envelope: Envelope | None
    """The envelope that is kept around it; None when it has all of the record."""
    text: bytes
    """The event's bytes as they were read, which is without halves of surrogate pairs."""
    changed: Sequence[str]
    """JSON Pointers of strings that had such halves."""

    def carried_value(self) -> bytes | None:
        """What a dead letter or a forwarded call holds: the record, or the envelope with it."""
        return self.envelope.around(self.original) if self.envelope else self.record.value
