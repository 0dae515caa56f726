"""One dead letter, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pipeline.avro.framing import Frame
from pipeline.core.coordinates import NO_ITEM, Source, parse_source
from pipeline.core.dead_letter_fields import Problem, read_number, read_problems
from pipeline.core.decoded_events import merged_events
from pipeline.core.decoded_value import decoded_value
from pipeline.core.headers import OUR_PREFIXES, DlqHeader, TrackHeader
from pipeline.core.json_value import JsonValue
from pipeline.core.members import decoded
from pipeline.core.reasons import Invalid
from pipeline.core.record import INVALID_HEADERS, Headers, Record
from pipeline.core.timestamps import MAX_MS

TRACK: Final = "track"
"""Header format of our own dead letters."""
UNKNOWN: Final = "unknown"
"""Header format of records that no known program wrote, and reason of those that state none."""

ReasonHeaders = tuple[bytes | None, bytes | None, bytes | None]
"""Values of the headers reason, reasons and stage."""


class Writer(NamedTuple):
    """The program that wrote a dead letter, and the headers that it added to the sender's."""

    name: str
    """`track` for this program, `unknown` when it is not known."""
    prefixes: tuple[str, ...] = ()
    """Prefixes of added headers."""
    names: frozenset[str] = frozenset()
    """Whole names of added headers."""


class DeadLetter:
    """A record of a dead-letter topic.

    Headers are read under the names of `core.headers.DlqHeader`; those of other systems are
    translated to these (`header_formats`). Nothing is decoded before it is needed: a filter on the
    reason must not cost the decoding of the value.
    """

    __slots__ = ("_decoded", "_headers", "_writer", "reason_headers", "record")

    def __init__(
        self,
        record: Record,
        writer: Writer,
        headers: Mapping[str, bytes | None] | None,
        reason_headers: ReasonHeaders | None = None,
    ) -> None:
        """Wrap a record; `headers` are the translated ones, None for the record's own."""
        self.record = record
        self._writer = writer
        self._headers = headers
        self.reason_headers = reason_headers
        """None when finding them takes a search of all headers, which takes as long as everything
        else that is done to count a dead letter."""
        self._decoded: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable for another process, which decodes the value itself."""
        return unpickled_dead_letter, self._parts()

    def _parts(self) -> tuple[Any, ...]:
        return self.record, self._writer, self._headers, self.reason_headers

    @property
    def header_format(self) -> str:
        """Name of the program that wrote the headers."""
        return self._writer.name

    @property
    def headers(self) -> Headers:
        """The sender's own headers in order, without ours and those that another system added."""
        prefixes, names = (*OUR_PREFIXES, *self._writer.prefixes), self._writer.names
        return [
            header
            for header in self.record.headers
            if not header[0].startswith(prefixes) and header[0] not in names
        ]

    def header(self, name: DlqHeader | TrackHeader) -> str:
        """Text of one of our headers; empty when it is absent."""
        value = self.raw(name)
        return value.decode(errors="replace") if value else ""

    def raw(self, name: str) -> bytes | None:
        """Bytes of one of our headers; None when it is absent."""
        return self._by_name().get(name)

    def raws(self, names: Iterable[str]) -> tuple[bytes | None, ...]:
        """Bytes of several of our headers."""
        return tuple(map(self._by_name().get, names))

    def _by_name(self) -> Mapping[str, bytes | None]:
        """Header values by name; of a repeated name the last value counts, as in lastHeader()."""
        if self._headers is None:
            self._headers = dict(self.record.headers)
        return self._headers

    @property
    def partition(self) -> int:
        """Partition of the dead-letter topic."""
        return self.record.partition

    @property
    def offset(self) -> int:
        """Offset in the dead-letter topic."""
        return self.record.offset

    @property
    def position(self) -> str:
        """`partition/offset` in the dead-letter topic."""
        return f"{self.record.partition}/{self.record.offset}"

    @property
    def value(self) -> bytes | None:
        """The rejected bytes."""
        return self.record.value

    @property
    def text(self) -> bytes | None:
        """The value as JSON text, whatever the format of the raw record.

        None when there is no value, and when it can't be read. Raises TransportError when its
        schema can't be looked up now.
        """
        return self.record.value

    @property
    def frame(self) -> Frame | None:
        """What names the schema of the value; None for plain JSON, and for a broken framing."""
        return None

    @property
    def reason(self) -> str:
        """Code of the first violation, or what another system states as its reason."""
        return self.header(DlqHeader.REASON) or UNKNOWN

    @property
    def problems(self) -> list[Problem]:
        """All reasons for the rejection; at least one."""
        return read_problems(self.raw(DlqHeader.REASONS), self.reason)

    @property
    def stage(self) -> str:
        """Stage of the pipeline that rejected the event."""
        return self.header(DlqHeader.STAGE)

    @property
    def source(self) -> Source | None:
        """Coordinates of the raw event; None when they are not stated."""
        return parse_source(self.raw(DlqHeader.SOURCE) or b"")

    @property
    def source_timestamp(self) -> int | None:
        """Kafka timestamp of the raw record in epoch milliseconds; None when it is not stated."""
        timestamp = read_number(self.header(DlqHeader.SOURCE_TIMESTAMP))
        return timestamp if timestamp is not None and 0 < timestamp <= MAX_MS else None

    @property
    def failed_at(self) -> int:
        """Kafka timestamp of the dead letter itself in epoch milliseconds; 0 when it has none."""
        timestamp = self.record.timestamp
        return timestamp if timestamp is not None and 0 < timestamp <= MAX_MS else 0

    @property
    def attempt(self) -> int:
        """Number of times that the event has failed."""
        return read_number(self.header(DlqHeader.ATTEMPT)) or 1

    @property
    def is_pointer(self) -> bool:
        """Whether the value is only a reference to the raw record, which was too large."""
        return DlqHeader.POINTER in self._by_name()

    @property
    def decoded(self) -> JsonValue | Invalid:
        """The value as JSON with exact numbers, or why it can't be decoded; decoded only once."""
        if self._decoded is None:
            self._decoded = decoded_value(self.record.value)
        return self._decoded

    @property
    def event_object(self) -> dict[str, Any] | None:
        """The event; of a batch item, merged with the shared fields of its envelope.

        None when there is no event object. Each call returns a new object.
        """
        source = self.source
        if source is not None and source.item != NO_ITEM:
            events = merged_events(self.text)
            if len(events) == 1:
                (item,) = events
                return None if type(item) is Invalid else decoded(item)
        event = self.decoded
        return event if type(event) is dict else None

    @property
    def event(self) -> str:
        """Event name; empty when it can't be read."""
        return self._fact(DlqHeader.EVENT, "event")

    @property
    def message_id(self) -> str:
        """The sender's `messageId`; empty when it can't be read."""
        return self._fact(DlqHeader.MESSAGE_ID, "messageId")

    @property
    def library(self) -> str:
        """`name/version` of the sender's library; empty when it can't be read."""
        if self.header_format == TRACK:
            return self.header(DlqHeader.LIBRARY)
        context = (self.event_object or {}).get("context")
        library = context.get("library") if type(context) is dict else None
        parts = (library.get("name"), library.get("version")) if type(library) is dict else ()
        return "/".join(part for part in parts if type(part) is str)

    def _fact(self, header: DlqHeader, name: str) -> str:
        """A field of the event; our dead letters have it in a header, so no value is decoded."""
        if self.header_format == TRACK:
            return self.header(header)
        found = (self.event_object or {}).get(name)
        return found if type(found) is str else ""


def unpickled(record: Record) -> Record:
    """A record that came from another process; unreadable headers are known by identity."""
    is_invalid = record.headers == INVALID_HEADERS
    return record._replace(headers=INVALID_HEADERS) if is_invalid else record


def unpickled_dead_letter(record: Record, *rest: Any) -> DeadLetter:  # noqa: ANN401  the others
    """A dead letter that came from another process."""
    return DeadLetter(unpickled(record), *rest)
