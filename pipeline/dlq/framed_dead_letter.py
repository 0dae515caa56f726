"""A dead letter of a raw record that may be framed."""

from __future__ import annotations

from typing import Any

from pipeline.avro.framing import Frame, unframe
from pipeline.core.decoded_value import decoded_value
from pipeline.core.formats import ReadText
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid
from pipeline.dlq.dead_letter import DeadLetter, unpickled_dead_letter


class FramedDeadLetter(DeadLetter):
    """A dead letter whose value stands for JSON; it is read when it is first asked for."""

    __slots__ = ("_read", "_text")

    def __init__(self, dead_letter: DeadLetter, read: ReadText) -> None:
        """Take the record and headers of another one; `read` turns its value into JSON text."""
        super().__init__(*dead_letter._parts())  # noqa: SLF001  its own base class
        self._read = read
        self._text: bytes | Invalid | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """See the base class. The other process knows no schemas, and gets the text."""
        return _unpickled, (self._found_text(), *self._parts())

    @property
    def text(self) -> bytes | None:
        """See the base class."""
        found = self._found_text()
        return None if type(found) is Invalid else found

    @property
    def frame(self) -> Frame | None:
        """See the base class."""
        frame = unframe(self.record.value or b"", self.record.headers)
        return None if type(frame) is Invalid else frame

    @property
    def decoded(self) -> JsonValue | Invalid:
        """See the base class."""
        if self._decoded is None:
            found = self._found_text()
            self._decoded = found if type(found) is Invalid else decoded_value(found)
        return self._decoded

    def _found_text(self) -> bytes | Invalid | None:
        if self._text is None and self.record.value:
            self._text = self._read(self.record.value, self.record.headers)
        return self._text if self.record.value else self.record.value


def _unpickled(text: bytes | Invalid | None, *parts: Any) -> DeadLetter:  # noqa: ANN401  the others
    known = b"" if text is None else text
    return FramedDeadLetter(unpickled_dead_letter(*parts), lambda _value, _headers: known)
