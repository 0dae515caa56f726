"""How the values of dead letters are read as JSON text when raw records are framed."""

from __future__ import annotations

from pipeline.avro.framing import Frame, unframe
from pipeline.core.decode import reject
from pipeline.core.formats import Formats, ReadText, with_plain_json
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import Headers
from pipeline.dlq.request import OnNotice
from pipeline.errors import TransportError


def of_dead_letters(formats: Formats, on_notice: OnNotice | None = None) -> Formats:
    """Formats for dead letters, which also hold plain JSON: pointers, items of batch calls.

    With `on_notice`, values whose schema can't be looked up now are unreadable, and it is called
    once with a sentence about that; without it, reading them raises TransportError.
    """
    read = with_plain_json(formats).read
    if read is None or on_notice is None:
        return formats._replace(read=read)
    return formats._replace(read=BestEffortRead(read, on_notice))


class BestEffortRead:
    """Reads values until a schema can't be looked up; from then on only those of known schemas.

    A look-up that gets no answer takes seconds, and a topic may hold a million dead letters.
    """

    def __init__(self, read: ReadText, on_notice: OnNotice) -> None:
        self._read = read
        self._on_notice = on_notice
        self._known: set[object] = set()
        self._invalid: Invalid | None = None

    def __call__(self, value: bytes, headers: Headers) -> bytes | Invalid:
        """Read a value; see `ReadText`."""
        frame = unframe(value, headers)
        schema = frame.schema if type(frame) is Frame else None
        if self._invalid is not None and schema is not None and schema not in self._known:
            return self._invalid
        try:
            text = self._read(value, headers)
        except TransportError as error:
            detail = "the value can't be decoded now, since its schema can't be looked up"
            self._invalid = reject(Reason.SCHEMA_UNKNOWN, detail)
            self._on_notice(f"warning: framed values can't be decoded now: {error}")
            return self._invalid
        self._known.add(schema)
        return text
