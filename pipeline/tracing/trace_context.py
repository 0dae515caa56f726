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
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.DOTALL,
)
_FIRST_VERSION: Final = b"00"
_SAMPLED: Final = 1
"""Flag of a context whose sender has recorded it."""


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
    sampled: list[tuple[Record, re.Match[bytes]]] = []
    others: list[tuple[Record, re.Match[bytes]]] = []
    seen: set[bytes] = set()
    for record in records:
        match = _context_of(record.headers) if record.headers else None
        if match is None or (ids := match[2] + match[3]) in seen:
            continue
        seen.add(ids)
        (sampled if int(match[4], 16) & _SAMPLED else others).append((record, match))
    chosen = [_read(*each) for each in [*sampled, *others][:limit]]
    return RecordContexts(chosen, len(seen) - len(chosen))


def _context_of(headers: Headers) -> re.Match[bytes] | None:
    value: bytes | None = None
    for header in headers:
        if header[0] == PARENT:
            value = header[1]  # the last one counts, as in Kafka's own lastHeader()
    if value is None or len(value) > _LONGEST:
        return None
    match = _CONTEXT.fullmatch(value)
    if match is not None and match[1] == _FIRST_VERSION and match[5] is not None:
        return None  # only later versions may have more fields
    return match


def _read(record: Record, match: re.Match[bytes]) -> RecordContext:
    _version, trace_id, span_id, flags, _more = match.groups()
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
