"""Origin of an event: its coordinates, and the headers that may replace or forge them.

`track.*` and `dlq.*` headers of a raw record are removed, whoever wrote them: a client must not
be able to forge ours. With `accept_origin_headers` four of them are trusted, so that a redriven
record keeps the identity of the first one, but each only in exactly the form that we write.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pipeline.core.headers import OUR_PREFIXES, VALUE_SCHEMA_ID, DlqHeader, TrackHeader
from pipeline.core.record import NO_PARTITION, Headers, Record, new_tuple
from pipeline.core.timestamps import MAX_MS, read_time

MAX_ATTEMPTS: Final = 1_000_000

_ORIGIN = re.compile(
    rb"([A-Za-z0-9._-]{1,249})/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,18})(?:/(0|[1-9][0-9]{0,9}))?"
)
_NUMBER = re.compile(rb"[1-9][0-9]{0,14}")
_ISO_MS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class Origin(NamedTuple):
    """Identity of a raw event, which it keeps when it is redriven."""

    topic: str
    partition: int
    offset: int
    item: int | None = None
    """Index within a batch; None for an event that is not part of one."""
    timestamp: int | None = None
    """Timestamp of the Kafka record, epoch milliseconds; None when it has none."""
    attempt: int = 1
    """Number of this attempt; 1 unless the event was dead-lettered before."""
    first_failed_at: str = ""
    """Time of the first failure in ISO-8601; empty when the event has never failed."""

    def source(self) -> str:
        """The form that headers carry: `topic/partition/offset[/index]`, or `file:line[:index]`."""
        if self.partition == NO_PARTITION:
            index = "" if self.item is None else f":{self.item}"
            return f"{self.topic}:{self.offset}{index}"
        index = "" if self.item is None else f"/{self.item}"
        return f"{self.topic}/{self.partition}/{self.offset}{index}"

    def message_id_source(self) -> str:
        """The form that generated message ids are made from: `topic:partition:offset:index`.

        The index is empty outside batches; a line of a file has no partition.
        """
        index = "" if self.item is None else self.item
        if self.partition == NO_PARTITION:
            return f"{self.topic}:{self.offset}:{index}"
        return f"{self.topic}:{self.partition}:{self.offset}:{index}"


def read_origin(record: Record, *, accept_headers: bool) -> Origin:
    """Coordinates of the record, or those in its `track.origin` header when that is accepted."""
    _value, _key, headers, timestamp, topic, partition, offset = record
    if timestamp is not None and not 0 < timestamp <= MAX_MS:
        timestamp = None
    own = new_tuple(Origin, (topic, partition, offset, None, timestamp, 1, ""))
    if not accept_headers or not headers:
        return own
    # The last header of a name counts, as in Kafka's own lastHeader().
    return _accepted(own, {name: value for name, value in record.headers if value is not None})


def _accepted(own: Origin, headers: dict[str, bytes]) -> Origin:
    origin = own
    match = _ORIGIN.fullmatch(headers.get(TrackHeader.ORIGIN, b""))
    if match is not None:
        topic, partition, offset, index = match.groups()
        origin = own._replace(
            topic=topic.decode(),
            partition=int(partition),
            offset=int(offset),
            item=None if index is None else int(index),
        )
        timestamp = headers.get(TrackHeader.ORIGIN_TIMESTAMP, b"")
        if _NUMBER.fullmatch(timestamp) and int(timestamp) <= MAX_MS:
            origin = origin._replace(timestamp=int(timestamp))
    attempt = headers.get(DlqHeader.ATTEMPT, b"")
    if _NUMBER.fullmatch(attempt) and int(attempt) < MAX_ATTEMPTS:
        origin = origin._replace(attempt=int(attempt) + 1)
    first = headers.get(DlqHeader.FIRST_FAILED_AT, b"")
    if _ISO_MS.fullmatch(first) and read_time(first.decode()) is not None:
        origin = origin._replace(first_failed_at=first.decode())
    return origin


def sender_headers(headers: Headers) -> Headers:
    """The headers of a raw record, in order, without those that start with `track.` or `dlq.`."""
    if not headers:
        return ()
    return [header for header in headers if not header[0].startswith(OUR_PREFIXES)]


def without_schema_id(headers: Headers) -> Headers:
    """Headers without the one that names the schema of the raw value, for another value."""
    return [header for header in headers if header[0] != VALUE_SCHEMA_ID]
