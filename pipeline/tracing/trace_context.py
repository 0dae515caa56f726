"""W3C trace contexts in record headers, and which of them the span of a batch links to.

Headers are written by anyone: what is not exactly a valid context is treated as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.core.record import Headers, Record

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
_LONGEST: Final = 512
"""Longest header that is read: W3C asks for 512 characters of `tracestate`; OpenTelemetry's own
propagator reads no longer `traceparent`."""
_CONTEXT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?",
    re.DOTALL,
)
_FIRST_VERSION: Final = b"00-"
_LENGTH: Final = 55
"""Length of a context of the first version."""
_IDS: Final = slice(3, 52)
"""Position of the ids of the trace and the span."""
_LAST_DIGIT: Final = 54
_SAMPLED: Final = b"13579bdf"
"""Last digits of the flags of a context that its sender has recorded."""


class RecordContext(NamedTuple):
    """The trace context that a raw record carries, with the record's coordinates."""

    trace_id: int
    span_id: int
    flags: int
    state: str
    """The `tracestate` header; empty when there is none, or when it can't be read."""
    partition: int
    offset: int


class RecordContexts(NamedTuple):
    """The contexts of a batch that its span links to."""

    chosen: list[RecordContext]
    omitted: int
    """Number of further contexts in the batch."""


def record_contexts(records: Iterable[Record], limit: int) -> RecordContexts:
    """Return at most `limit` different contexts of the records, sampled ones first."""
    sampled: list[tuple[Record, bytes]] = []
    others: list[tuple[Record, bytes]] = []
    seen: set[bytes] = set()
    for record in records:
        value: bytes | None = None
        for name, sent in record.headers:
            if name == PARENT:
                value = sent  # the last one counts, as in Kafka's own lastHeader()
        if value is None or value[_IDS] in seen or not _is_context(value):
            continue
        seen.add(value[_IDS])
        (sampled if value[_LAST_DIGIT] in _SAMPLED else others).append((record, value))
    chosen = [_read(*each) for each in [*sampled, *others][:limit]]
    return RecordContexts(chosen, len(seen) - len(chosen))


def _is_context(value: bytes) -> bool:
    if len(value) > _LONGEST or _CONTEXT.fullmatch(value) is None:
        return False
    # Only later versions may have more fields.
    return len(value) == _LENGTH or not value.startswith(_FIRST_VERSION)


def _read(record: Record, value: bytes) -> RecordContext:
    trace_id, span_id, flags = value[:_LENGTH].split(b"-")[1:]
    return RecordContext(
        int(trace_id, 16),
        int(span_id, 16),
        int(flags, 16),
        _state(record.headers),
        record.partition,
        record.offset,
    )


def _state(headers: Headers) -> str:
    """Several headers are one list, as in HTTP."""
    value = b",".join(sent for name, sent in headers if name == STATE and sent)
    return value.decode() if len(value) <= _LONGEST and value.isascii() else ""
