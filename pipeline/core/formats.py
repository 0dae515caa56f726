"""How raw records are read and outputs written when they are not plain JSON.

The core does not know any format but JSON. Whoever makes a `Processor` hands it the functions that
turn a raw value into JSON and an enriched event into bytes (`pipeline/avro`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.reasons import Invalid
from pipeline.core.record import Headers

ReadText = Callable[[bytes, Headers], bytes | Invalid]
"""Turns the value of a raw record, with its headers, into the JSON text of the same event or batch
call. JSON is returned as it is. Raises TransportError when a schema can't be looked up now."""


class TypedValues:
    """Values of an event that a typed format holds in columns, beside the JSON text of its parts.

    Times are epoch milliseconds. All are None when there are none, or none that can be read.
    """

    def __init__(self) -> None:
        self.timestamp: int | None = None
        self.original_timestamp: int | None = None
        self.sent_at: int | None = None
        self.received_at: int | None = None
        self.revenue: int | Decimal | None = None
        self.value: int | Decimal | None = None
        self.currency: str | None = None


WriteEvent = Callable[[EnrichedEvent, bytes, TypedValues], bytes]
"""Writes an enriched event, or an identify message, with the members that are not ours as JSON
without braces."""


class OutputForm(NamedTuple):
    """How one kind of output is written."""

    write: WriteEvent
    headers: tuple[tuple[str, bytes], ...] = ()
    """Headers that a reader needs, such as the schema's id."""


class Formats(NamedTuple):
    """How records are read and outputs written; None means plain JSON."""

    read: ReadText | None = None
    enriched: OutputForm | None = None
    identify: OutputForm | None = None
    read_any: ReadText | None = None
    """Like `read`, for records that need not be framed although those of the raw topic must be."""


PLAIN_JSON: Final = Formats()


def with_plain_json(formats: Formats) -> Formats:
    """Formats for records that need not be framed: those of files, and those of dead letters."""
    return formats._replace(read=formats.read_any)
