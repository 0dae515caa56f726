"""Writes dead letters as NDJSON with everything that is needed to send them again, and reads it.

A value that is an object in one line of printable JSON stands in the line as it is, byte for byte,
so that every JSON tool can read and edit it. Any other value is text or base64.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.coordinates import NO_ITEM, parse_source
from pipeline.core.encode import encode_json
from pipeline.core.formats import ReadText
from pipeline.core.masking import masked_text
from pipeline.core.origin import without_schema_id
from pipeline.core.reasons import Stage
from pipeline.core.record import INVALID_HEADERS, Headers, Record
from pipeline.core.surrogates import find_halves
from pipeline.dlq.as_json import facts, framing, masked_dead_letter_value
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.event_location import locate
from pipeline.dlq.header_formats import reader_of
from pipeline.dlq.reader import Coverage, open_reader
from pipeline.dlq.repair import generated_id, has_message_id, with_message_id
from pipeline.dlq.reprocess import is_plain_json
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.errors import ExportError
from pipeline.files.lines import Input, TooLongLine
from pipeline.files.transform import BASE64, UTF_8, as_text
from pipeline.progress import OnProgress

JSON: Final = "json"
"""Encoding of a value that stands in the line as it is."""


class Text(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes in a line; `value` is None when there are none."""

    encoding: str
    """`utf-8` or `base64`."""
    value: str | None


class NamedText(msgspec.Struct, forbid_unknown_fields=True):
    """A record header in a line."""

    name: str
    encoding: str
    value: str | None


class _Line(msgspec.Struct):
    """Members of a line that are read; the others are for people and their tools."""

    dead_letter: str
    """`topic/partition/offset`."""
    topic_id: str
    timestamp: int | None
    """Kafka timestamp of the dead letter itself, in epoch milliseconds."""
    masked: bool
    key: Text
    headers: list[NamedText] | None
    """None when a name among them is not text, so that they can't be read."""
    sha256: str | None
    """Hash of the value as it was exported; None without a value, and for a masked one."""
    encoding: str
    value: msgspec.Raw
    generated_message_id: str | None = None


class Exported(NamedTuple):
    """A dead letter that was read from an export."""

    dead_letter: DeadLetter
    """It has the value of the line, edited or not, and its record names the dead-letter topic.

    An edited event without a message id has the one that the rules give to the exported event.
    """
    topic_id: str
    """Kafka's id of the dead-letter topic."""
    masked: bool
    """Whether personal data was masked; such a dead letter can't be sent."""
    sha256: str | None
    """Hash of the value that was exported."""

    @property
    def edited(self) -> bool:
        """Whether the value differs from the exported one."""
        return not self.masked and _digest(self.dead_letter.value) != self.sha256


def line_of(dead_letter: DeadLetter, topic_id: str, *, reveal: bool) -> bytes:
    """Format one dead letter as a line without its line end, masked unless `reveal` is given."""
    record = dead_letter.record
    value = record.value if reveal else masked_dead_letter_value(dead_letter)
    encoding, written = _written(dead_letter, value, reveal=reveal)
    document: dict[str, Any] = {
        "dead_letter": f"{record.topic}/{dead_letter.position}",
        "topic_id": topic_id,
        "timestamp": record.timestamp,
        **facts(dead_letter, reveal=reveal),
        **framing(dead_letter, reveal=reveal),
        "masked": not reveal,
        "key": _text(record.key, reveal=reveal),
        "headers": None
        if record.headers is INVALID_HEADERS
        else [_header(name, sent, reveal=reveal) for name, sent in record.headers],
        "sha256": _digest(record.value) if reveal else None,
        "generated_message_id": _generated_id(dead_letter) if reveal else None,
        "encoding": encoding,
        "value": written,
    }
    return encode_json(document)


def _text(value: bytes | None, *, reveal: bool) -> Text:
    if value is None:
        return Text(UTF_8, None)
    return Text(*as_text(value)) if reveal else Text(UTF_8, masked_text(value))


def _header(name: str, sent: bytes | None, *, reveal: bool) -> NamedText:
    text = _text(sent, reveal=reveal)
    return NamedText(name, text.encoding, text.value)


def _written(
    dead_letter: DeadLetter, value: bytes | None, *, reveal: bool
) -> tuple[str, str | msgspec.Raw | None]:
    if value is None:
        return UTF_8, None
    encoding, text = as_text(value)
    # A line end would end the line; what is not printable would drive a terminal.
    if (
        encoding == UTF_8
        and text.isprintable()
        and text.startswith("{")
        and text.endswith("}")
        and dead_letter.stage != Stage.CRASH
        and type(dead_letter.decoded) is dict
        and not (reveal and dead_letter.text != value)  # Avro may look like JSON
        and not find_halves(value)
    ):
        return JSON, msgspec.Raw(value)
    return encoding, text


def _generated_id(dead_letter: DeadLetter) -> str | None:
    """Message id that the rules generate; None if the event has one or must not be decoded."""
    if dead_letter.stage == Stage.CRASH:
        return None
    located = locate(dead_letter.text or b"", dead_letter.decoded, dead_letter.source)
    if located is not None and has_message_id(located.event):
        return None
    return generated_id(dead_letter)


def _digest(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()


@dataclass(frozen=True)
class ExportResult:
    """What an export has written."""

    count: int
    """Number of dead letters."""
    coverage: Coverage


def export(
    request: DlqRequest,
    write: Callable[[bytes], object],
    *,
    reveal: bool = False,
    on_progress: OnProgress | None = None,
    on_notice: OnNotice = ignore_notice,
) -> ExportResult:
    """Write the selected dead letters, one line at a time; see `open_reader` for errors."""
    reader, count = open_reader(request, on_notice), 0
    topic_id = reader.snapshot.topic_id
    for dead_letter in reader.dead_letters(on_progress):
        write(line_of(dead_letter, topic_id, reveal=reveal) + b"\n")
        count += 1
    return ExportResult(count, reader.coverage)


def read_dead_letters(source: Input, read: ReadText | None = None) -> Iterator[Exported]:
    """Read the dead letters of a file in its order; blank lines are skipped.

    `read` turns their values into JSON text; None when all raw records are plain JSON. Raises
    ExportError, which names file and line, and the errors of `lines`.
    """
    for lines in source.lines():
        for line in lines:
            if isinstance(line, TooLongLine):
                raise ExportError(f"{source.name}:{line.number}: {line.problem}")
            if line.text.strip():
                try:
                    yield read_line(line.text, read)
                except ExportError as error:
                    raise ExportError(f"{source.name}:{line.number}: {error}") from error


def read_line(text: bytes, read: ReadText | None = None) -> Exported:
    """Read one dead letter; raises ExportError. See `read_dead_letters`."""
    try:
        line = _decode(text)
        value = _bytes_of(line.encoding, line.value)
        key = _decoded(line.key.encoding, line.key.value)
        headers: Headers = INVALID_HEADERS
        if line.headers is not None:
            headers = [(each.name, _decoded(each.encoding, each.value)) for each in line.headers]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ExportError(f"is not a dead letter that `dlq export` wrote: {error}") from error
    at = parse_source(line.dead_letter.encode())
    if at is None or at.item != NO_ITEM:
        raise ExportError(f"dead_letter {line.dead_letter!r} is not topic/partition/offset")
    is_edited = _digest(value) != line.sha256
    if is_edited and is_plain_json(value):
        headers = without_schema_id(headers)
    record = Record(value, key, headers, line.timestamp, at.topic, at.partition, at.offset)
    as_dead_letter = reader_of(read)
    dead_letter = as_dead_letter(record)
    if line.generated_message_id is not None and value and is_edited:
        value = with_message_id(dead_letter, value, line.generated_message_id)
        dead_letter = as_dead_letter(record._replace(value=value))
    return Exported(dead_letter, line.topic_id, line.masked, line.sha256)


_decode: Final = msgspec.json.Decoder(_Line).decode
_decode_string: Final = msgspec.json.Decoder(str).decode


def _bytes_of(encoding: str, value: msgspec.Raw) -> bytes | None:
    """Decode a string by its encoding; any other JSON is the value as it stands."""
    written = bytes(value)
    if written == b"null":
        return None
    if not written.startswith(b'"') or encoding == JSON:
        return written
    return _decoded(encoding, _decode_string(written))


def _decoded(encoding: str, text: str | None) -> bytes | None:
    if text is None:
        return None
    if encoding == UTF_8:
        return text.encode()
    if encoding == BASE64:
        return b64decode(text, validate=True)
    raise ValueError(f"encoding {encoding!r} is not one of {UTF_8}, {BASE64}, {JSON}")
