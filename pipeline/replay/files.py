"""Raw records from files: plain events line by line, or archived records with their coordinates.

An archived record is a line with `topic`, `partition` and `offset`:

    {"topic": "track.raw", "partition": 0, "offset": 7, "timestamp": 1760000000000,
     "key": "k", "headers": [["trace", "1"]], "value": {"event": "E", "userId": "u"}}

`key`, `value` and the values of headers are null, text, or `{"base64": "…"}` where the bytes are
no UTF-8. A `value` that is any other object or array is that JSON, byte for byte. `timestamp`
(Kafka's, epoch milliseconds), `key` and `headers` may be left out. Any other line is an event by
itself, whose coordinates are `file:line`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from pipeline.core.record import Record
from pipeline.lines import Input, UnusableFileError
from pipeline.transform import line_record

_LARGEST_PARTITION: Final = 2**31 - 1
_LARGEST_OFFSET: Final = 2**63 - 1
_TOPIC: Final = r"^[A-Za-z0-9._-]{1,249}$"
_BASE64: Final = b'"base64"'
_Number = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_OFFSET)]


class ArchiveError(UnusableFileError):
    """A line that is no archived record, though it names coordinates; the text says why."""


class _Base64(msgspec.Struct, forbid_unknown_fields=True):
    base64: str


_Bytes = str | _Base64 | None


class _Archived(msgspec.Struct, forbid_unknown_fields=True):
    topic: Annotated[str, msgspec.Meta(pattern=_TOPIC)]
    partition: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_PARTITION)]
    offset: _Number
    value: msgspec.Raw
    key: _Bytes = None
    headers: list[tuple[str, _Bytes]] = []
    timestamp: _Number | None = None


_ABSENT: Final = msgspec.Raw(b"")


class _Probe(msgspec.Struct):
    """Tells an archived record from an event, which may have a `topic` of its own."""

    topic: msgspec.Raw = _ABSENT
    partition: msgspec.Raw = _ABSENT
    offset: msgspec.Raw = _ABSENT
    event: msgspec.Raw = _ABSENT
    batch: msgspec.Raw = _ABSENT

    @property
    def is_archived(self) -> bool:
        coordinates = _ABSENT not in (self.topic, self.partition, self.offset)
        return coordinates and self.event is _ABSENT and self.batch is _ABSENT


_probe: Final = msgspec.json.Decoder(_Probe).decode
_read: Final = msgspec.json.Decoder(_Archived).decode
_read_bytes: Final = msgspec.json.Decoder(_Bytes).decode
_WRONG: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def read_records(source: Input, received_at: int | None = None) -> Iterator[Record]:
    """The raw records of a file, in its order; blank lines are skipped.

    `received_at` (epoch milliseconds) is the Kafka timestamp of lines that have none. Raises
    ArchiveError, which names file and line, and the errors of `lines`.
    """
    for lines in source.lines():
        for line in lines:
            if not line.text or line.text.isspace():
                continue
            if _is_archived(line.text):
                try:
                    yield read_archived(line.text, received_at)
                except ArchiveError as error:
                    raise ArchiveError(f"{source.name}:{line.number}: {error}") from error
            else:
                yield line_record(source.name, line, received_at)


def _is_archived(text: bytes) -> bool:
    if b'"offset"' not in text:
        return False
    try:
        return _probe(text).is_archived
    except _WRONG:
        return False  # the rules say what is wrong with it


def read_archived(text: bytes, received_at: int | None = None) -> Record:
    """One archived record; ArchiveError."""
    try:
        line = _read(text)
        headers = [(name, _bytes(sent)) for name, sent in line.headers]
        value, key = _value(line.value), _bytes(line.key)
    except _WRONG as error:
        raise ArchiveError(f"is no archived record: {error}") from error
    timestamp = received_at if line.timestamp is None else line.timestamp
    return Record(value, key, headers, timestamp, line.topic, line.partition, line.offset)


def _value(raw: msgspec.Raw) -> bytes | None:
    written = bytes(raw)
    if written[:1] == b"[" or (written[:1] == b"{" and not _is_base64(written)):
        return written
    return _bytes(_read_bytes(written))


def _is_base64(written: bytes) -> bool:
    return written[1:].lstrip().startswith(_BASE64)


def _bytes(sent: _Bytes) -> bytes | None:
    if sent is None:
        return None
    return sent.encode() if isinstance(sent, str) else b64decode(sent.base64, validate=True)
