"""One dead letter as the desk sees it, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.batch import merge
from pipeline.core.coordinates import NO_ITEM, Source, parse_source
from pipeline.core.decode import decode
from pipeline.core.headers import OUR_PREFIXES, DlqHeader, TrackHeader
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid
from pipeline.core.record import INVALID_HEADERS, Headers, Record
from pipeline.core.timestamps import MAX_MS

TRACK: Final = "track"
"""The dialect of our own letters."""
UNKNOWN: Final = "unknown"
"""The dialect of records whose headers no dialect knows, and the reason of letters without one."""
_MAX_DEPTH: Final = 512
_MAX_DIGITS: Final = 19
"""Of a number of 64 bits."""


Why = tuple[bytes | None, bytes | None, bytes | None]
"""The bytes of the headers reason, reasons and stage."""


class Problem(NamedTuple):
    """One reason, as the letter states it."""

    code: str
    pointer: str
    """JSON Pointer into the event; empty when the whole is meant."""
    detail: str


class DeadLetter:
    """A record of a dead-letter topic.

    `said` has what its headers say, under the names of `core.deadletter.Header`: the letters of
    other systems are translated (`dialects`). Nothing is read before it is asked for: a filter on
    the reason must not cost the decoding of the value.
    """

    __slots__ = ("_added", "_added_names", "_decoded", "_said", "dialect", "record", "why")

    def __init__(
        self,
        record: Record,
        dialect: str,
        said: Mapping[str, bytes | None] | None,
        added: tuple[str, ...] = (),
        added_names: frozenset[str] = frozenset(),
    ) -> None:
        """`said` is None when the record's own headers say it, the first of them `dlq.version`.

        `added` are prefixes of headers that its writer has added, `added_names` whole names.
        """
        self.record = record
        self.dialect = dialect
        """Who wrote it: `track`, another system's name, or `unknown`."""
        self._said = said
        self.why: Why | None = None
        """None when it takes long to find it. Looking at all headers takes as long as all else that
        is done to count a letter."""
        if said is None:
            headers = record.headers
            self.why = headers[1][1], headers[2][1], headers[3][1]
        self._added = added
        self._added_names = added_names
        self._decoded: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, which decodes the value by itself."""
        made_of = self.record, self.dialect, self._said, self._added, self._added_names
        return _made_again, made_of

    @property
    def headers(self) -> Headers:
        """The sender's own, in order: less ours, and less those that another system has added."""
        prefixes, names = (*OUR_PREFIXES, *self._added), self._added_names
        return [
            header
            for header in self.record.headers
            if not header[0].startswith(prefixes) and header[0] not in names
        ]

    def said(self, header: DlqHeader | TrackHeader) -> str:
        """The text of one of our headers; empty when it is not there."""
        value = self.raw(header)
        return value.decode(errors="replace") if value else ""

    def raw(self, header: str) -> bytes | None:
        """The bytes of one of our headers; None when it is not there."""
        return self._by_name().get(header)

    def raws(self, headers: Iterable[str]) -> tuple[bytes | None, ...]:
        """The bytes of several of our headers."""
        return tuple(map(self._by_name().get, headers))

    def _by_name(self) -> Mapping[str, bytes | None]:
        """Of a name that occurs twice the last one counts, as in Kafka's own lastHeader()."""
        if self._said is None:
            self._said = dict(self.record.headers)
        return self._said

    @property
    def partition(self) -> int:
        """Of the dead-letter topic."""
        return self.record.partition

    @property
    def offset(self) -> int:
        """In the dead-letter topic."""
        return self.record.offset

    @property
    def place(self) -> str:
        """`partition/offset` in the dead-letter topic."""
        return f"{self.record.partition}/{self.record.offset}"

    @property
    def value(self) -> bytes | None:
        """The refused bytes."""
        return self.record.value

    @property
    def reason(self) -> str:
        """Code of the first violation, or what another system calls its reason."""
        return self.said(DlqHeader.REASON) or UNKNOWN

    @property
    def problems(self) -> list[Problem]:
        """All reasons; at least one."""
        try:
            listed = msgspec.json.decode(self.raw(DlqHeader.REASONS) or b"[]")
            found = [Problem(str(p["code"]), str(p["pointer"]), str(p["detail"])) for p in listed]
        except (ValueError, TypeError, KeyError, RecursionError):
            found = []
        return found or [Problem(self.reason, "", "")]

    @property
    def stage(self) -> str:
        """Where it was refused."""
        return self.said(DlqHeader.STAGE)

    @property
    def source(self) -> Source | None:
        """The raw event; None when the letter does not say."""
        return parse_source(self.raw(DlqHeader.SOURCE) or b"")

    @property
    def source_timestamp(self) -> int | None:
        """The raw record's Kafka timestamp, epoch milliseconds."""
        timestamp = read_number(self.said(DlqHeader.SOURCE_TIMESTAMP))
        return timestamp if timestamp is not None and 0 < timestamp <= MAX_MS else None

    @property
    def failed_at(self) -> int:
        """The letter's own Kafka timestamp, epoch milliseconds; 0 when it has none."""
        timestamp = self.record.timestamp
        return timestamp if timestamp is not None and 0 < timestamp <= MAX_MS else 0

    @property
    def attempt(self) -> int:
        """How many times it has failed."""
        return read_number(self.said(DlqHeader.ATTEMPT)) or 1

    @property
    def is_pointer(self) -> bool:
        """Whether the value only says where the raw record is."""
        return DlqHeader.POINTER in self._by_name()

    @property
    def decoded(self) -> JsonValue | Invalid:
        """The value as JSON with exact numbers, or why it can't be read; decoded once."""
        if self._decoded is None:
            self._decoded = decode(self.record.value, _MAX_DEPTH)
        return self._decoded

    @property
    def event_object(self) -> dict[str, Any] | None:
        """The event: of a batch letter the item, with what its envelope gives to it.

        None when there is none. It is made anew each time.
        """
        decoded = self.decoded
        source = self.source
        if source is not None and source.item != NO_ITEM and type(decoded) is dict:
            batch = decoded.get("batch")
            if type(batch) is list and len(batch) == 1 and type(batch[0]) is dict:
                merged: dict[str, Any] = merge(dict(batch[0]), decoded)
                return merged
        return decoded if type(decoded) is dict else None

    @property
    def event(self) -> str:
        """Event name, if readable."""
        return self._fact(DlqHeader.EVENT, "event")

    @property
    def message_id(self) -> str:
        """The sender's `messageId`, if readable."""
        return self._fact(DlqHeader.MESSAGE_ID, "messageId")

    @property
    def library(self) -> str:
        """`name/version` of the sender's library, if readable."""
        if self.dialect == TRACK:
            return self.said(DlqHeader.LIBRARY)
        context = (self.event_object or {}).get("context")
        library = context.get("library") if type(context) is dict else None
        parts = (library.get("name"), library.get("version")) if type(library) is dict else ()
        return "/".join(part for part in parts if type(part) is str)

    def _fact(self, header: DlqHeader, name: str) -> str:
        """Our letters say it in a header, so that no value must be decoded."""
        if self.dialect == TRACK:
            return self.said(header)
        found = (self.event_object or {}).get(name)
        return found if type(found) is str else ""


def unpickled(record: Record) -> Record:
    """A record of another process: headers that can't be read are known by identity."""
    is_invalid = record.headers == INVALID_HEADERS
    return record._replace(headers=INVALID_HEADERS) if is_invalid else record


def _made_again(record: Record, *rest: Any) -> DeadLetter:  # noqa: ANN401  as `DeadLetter` has them
    return DeadLetter(unpickled(record), *rest)


def read_number(text: str) -> int | None:
    """A decimal number of at most 19 digits; None for any other text."""
    return int(text) if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else None
