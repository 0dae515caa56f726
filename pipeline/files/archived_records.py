"""Reads raw records from files: one event per line, or archived records with their coordinates.

An archived record is a line with `topic`, `partition` and `offset`:

    {"topic": "track.raw", "partition": 0, "offset": 7, "timestamp": 1760000000000,
     "key": "k", "headers": [["trace", "1"]], "value": {"event": "E", "userId": "u"}}

`key`, `value` and the values of headers are null, text, or `{"base64": "…"}` for bytes that are
not UTF-8. A `value` that is any other object or array is that JSON, byte for byte. `timestamp`
(Kafka's, epoch milliseconds), `key` and `headers` are optional. The output of `kcat -J` is an
archived record, too, with `payload` and `key` as text. Any other line is an event, whose
coordinates are `file:line`.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec

from pipeline.core.decode import BYTE_ORDER_MARK
from pipeline.core.record import INVALID_HEADERS, Headers, Record
from pipeline.errors import ArchiveError
from pipeline.files.lines import Input, Line, TooLongLine
from pipeline.files.transform import line_record

_LARGEST_PARTITION: Final = 2**31 - 1
_LARGEST_OFFSET: Final = 2**63 - 1
_TOPIC: Final = r"^[A-Za-z0-9._-]{1,249}$"
_BASE64: Final = b'"base64"'
_COORDINATE: Final = b'"offset"'
_EXPORTED: Final = b'{"dead_letter":'
_TOPIC_ID: Final = b'"topic_id":'
"""Contained in a line that `dlq export` has written, which begins with `_EXPORTED`."""
_KEPT: Final = "surrogateescape"
"""Error handler of Python that keeps bytes which are not UTF-8 when they become text."""
_Number = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_OFFSET)]


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


class _Kcat(msgspec.Struct, forbid_unknown_fields=True):
    """A record as `kcat -J` writes it."""

    topic: Annotated[str, msgspec.Meta(pattern=_TOPIC)]
    partition: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_PARTITION)]
    offset: _Number
    payload: str | None
    key: str | None = None
    headers: list[str | None] | dict[str, list[str | None]] = []
    """Names and values alternately, or the values of each name."""
    tstype: str = ""
    ts: Annotated[int, msgspec.Meta(ge=-1, le=_LARGEST_OFFSET)] = -1
    """Timestamp, epoch milliseconds; -1 for none."""
    broker: int = -1


_ABSENT: Final = msgspec.Raw(b"")


class _Probe(msgspec.Struct):
    """Distinguishes an archived record from an event, which may also have a `topic`."""

    topic: msgspec.Raw = _ABSENT
    partition: msgspec.Raw = _ABSENT
    offset: msgspec.Raw = _ABSENT
    event: msgspec.Raw = _ABSENT
    batch: msgspec.Raw = _ABSENT
    value: msgspec.Raw = _ABSENT
    payload: msgspec.Raw = _ABSENT

    @property
    def is_archived(self) -> bool:
        coordinates = _ABSENT not in (self.topic, self.partition, self.offset)
        return coordinates and self.event is _ABSENT and self.batch is _ABSENT

    @property
    def is_kcat(self) -> bool:
        return self.value is _ABSENT and self.payload is not _ABSENT


_probe: Final = msgspec.json.Decoder(_Probe).decode
_read: Final = msgspec.json.Decoder(_Archived).decode
_read_kcat: Final = msgspec.json.Decoder(_Kcat).decode
_read_bytes: Final = msgspec.json.Decoder(_Bytes).decode
_WRONG: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class NumberedRecord(NamedTuple):
    """The record on a line."""

    line: int
    """Line number from 1."""
    record: Record | None
    """The record; None for a blank line."""


def read_records(source: Input, received_at: int | None = None) -> Iterator[Record]:
    """Read the raw records of a file in order, without blank lines.

    `received_at` (epoch milliseconds) is the Kafka timestamp of lines that have none. Raises
    ArchiveError, which names file and line, and the errors of `Input.lines`.
    """
    for _, record in read_lines(source, received_at):
        if record is not None:
            yield record


def read_lines(
    source: Input, received_at: int | None = None, after: int = 0
) -> Iterator[NumberedRecord]:
    """Read the lines of a file after the first `after`; see `read_records`.

    Of the lines that are skipped it yields one now and then, without a record, so that progress
    can be shown.
    """
    for lines in source.lines():
        if lines and lines[-1].number <= after:
            yield NumberedRecord(lines[-1].number, None)
            continue
        for line in lines:
            if line.number > after:
                yield NumberedRecord(line.number, record_of(source.name, line, received_at))


def record_of(name: str, line: Line | TooLongLine, received_at: int | None) -> Record | None:
    """Return the raw record on a line; None for a blank one. See `read_records`."""
    if isinstance(line, TooLongLine):
        start = line.value.start
        if _COORDINATE in start or start.startswith(_EXPORTED):
            raise ArchiveError(
                f"{name}:{line.number}: {line.problem}; its coordinates can't be read"
            )
        return line_record(name, line, received_at)
    text = line.text.removeprefix(BYTE_ORDER_MARK)  # also at the start of a file that was appended
    if not text or text.isspace():
        return None
    if text.startswith(_EXPORTED) and _TOPIC_ID in text:
        what = "is a dead letter written by `dlq export`: use `dlq import` to send it again"
        raise ArchiveError(f"{name}:{line.number}: {what}")
    probe = _archived(text) if _COORDINATE in text else None
    if probe is None:
        return line_record(name, line, received_at)
    try:
        return (
            _read_kcat_record(text, received_at)
            if probe.is_kcat
            else read_archived(text, received_at)
        )
    except ArchiveError as error:
        raise ArchiveError(f"{name}:{line.number}: {error}") from error


def _archived(text: bytes) -> _Probe | None:
    try:
        probe = _probe(text)
    except _WRONG:
        return None  # the rules report the problem
    return probe if probe.is_archived else None


def read_archived(text: bytes, received_at: int | None = None) -> Record:
    """Parse one archived record; ArchiveError when it is not valid."""
    try:
        line = _read(text)
        headers = [(name, _bytes(sent)) for name, sent in line.headers]
        value, key = _value(line.value), _bytes(line.key)
    except _WRONG as error:
        raise ArchiveError(f"is not a valid archived record: {error}") from error
    timestamp = received_at if line.timestamp is None else line.timestamp
    return Record(value, key, headers, timestamp, line.topic, line.partition, line.offset)


def _read_kcat_record(text: bytes, received_at: int | None) -> Record:
    try:
        line = _kcat_line(text)
        headers = _kcat_headers(line)
    except _WRONG as error:
        raise ArchiveError(f"is not a valid record of kcat -J: {error}") from error
    timestamp = line.ts if line.ts > 0 else received_at
    value, key = _kcat_bytes(line.payload), _kcat_bytes(line.key)
    return Record(value, key, headers, timestamp, line.topic, line.partition, line.offset)


def _kcat_line(text: bytes) -> _Kcat:
    try:
        return _read_kcat(text)
    except UnicodeDecodeError:
        # kcat writes the bytes of a record unchanged, even if they are not UTF-8.
        return msgspec.convert(json.loads(text.decode(errors=_KEPT)), _Kcat)


def _kcat_headers(line: _Kcat) -> Headers:
    sent = line.headers
    if isinstance(sent, dict):
        pairs = [(name, value) for name, values in sent.items() for value in values]
    else:
        pairs = [(name or "", value) for name, value in zip(sent[::2], sent[1::2], strict=True)]
    try:
        "".join(name for name, _ in pairs).encode()
    except UnicodeEncodeError:
        return INVALID_HEADERS
    return [(name, _kcat_bytes(value)) for name, value in pairs]


def _kcat_bytes(sent: str | None) -> bytes | None:
    return None if sent is None else sent.encode(errors=_KEPT)


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
