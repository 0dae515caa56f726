"""Repairs: changes to the event of a dead letter before it is tried again.

A repair works on the parsed event with exact numbers; in the dead letter of a batch item, on that
item. What a repair does not touch stays byte for byte.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.core.decoded_value import DEEPEST, decoded_value
from pipeline.core.encode import encode_json
from pipeline.core.identities import generated_message_id, read_id
from pipeline.core.origin import read_origin
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.event_location import locate
from pipeline.dlq.reprocess import as_raw
from pipeline.dlq.strict_json import NotJsonError, json_of

_MESSAGE_ID: Final = "messageId"
_OURS: Final = Path(__file__).parent
_LONGEST: Final = 300
"""Number of characters that are kept of an exception's text."""


class RepairError(Exception):
    """A repair failed on one dead letter; the text is a sentence that names it."""


class Repair(Protocol):
    """Changes the value of a dead letter."""

    @property
    def name(self) -> str:
        """Name in the ledger; empty when nothing is changed."""

    def apply(self, dead_letter: DeadLetter) -> bytes | None:
        """Return the value to try, or None to leave the dead letter out; raises RepairError."""


class _None:
    """No repair: a dead letter without a value is tried as the empty one that it is."""

    name = ""

    def apply(self, dead_letter: DeadLetter) -> bytes | None:
        """Return the value as it is."""
        return dead_letter.value or b""


def no_repair() -> Repair:
    """Make the repair that leaves every dead letter as it is."""
    return _None()


Change = Callable[[dict[str, Any], DeadLetter], Any]
"""Receives a copy of the event; returns the event to try, or None."""


class EventRepair:
    """A repair by a function of the event, or of the bytes where these are not an event."""

    def __init__(
        self,
        name: str,
        change: Change | None,
        change_bytes: Callable[[bytes, DeadLetter], Any] | None = None,
    ) -> None:
        self.name = name
        self._change = change
        self._change_bytes = change_bytes

    def apply(self, dead_letter: DeadLetter) -> bytes | None:
        """Repair the value; see `Repair`."""
        value, decoded = dead_letter.value or b"", dead_letter.decoded
        if type(decoded) is dict:
            return (
                value if self._change is None else self._by_event(self._change, dead_letter, value)
            )
        if self._change_bytes is None:
            return value
        changed: bytes | None = self._call(self._change_bytes, value, dead_letter)
        # A plain copy: other processes do not know a class of the user's file.
        return None if changed is None else bytes(memoryview(changed))

    def _by_event(self, change: Change, dead_letter: DeadLetter, value: bytes) -> bytes | None:
        located = locate(dead_letter.text or b"", dead_letter.decoded, dead_letter.source)
        if located is None:
            return value
        # Decoded anew: a copy of its own, however deep it is.
        changed = self._call(change, decoded_value(located.raw), dead_letter)
        if changed is None:
            return None
        try:
            new = json_of(changed, DEEPEST)
        except NotJsonError as error:
            text = f"{dead_letter.position}: {self.name} returned what is not JSON: {error}"
            raise RepairError(text) from error
        return value if new == encode_json(located.event) else located.around(new)

    def _call(self, function: Callable[..., Any], argument: Any, dead_letter: DeadLetter) -> Any:  # noqa: ANN401  the user's
        """Call the function, which returns a value of the type of its argument, or None."""
        try:
            changed = function(argument, dead_letter)
        except Exception as error:  # whatever the user's code raises concerns this dead letter only
            text = f"{dead_letter.position}: {self.name} failed: {what_happened(error)}"
            raise RepairError(text) from error
        if changed is None or isinstance(changed, type(argument)):
            return changed
        was, wanted = type(changed).__name__, type(argument).__name__
        text = f"{self.name} returned {was}, not {wanted} or None"
        raise RepairError(f"{dead_letter.position}: {text}")


def what_happened(error: BaseException) -> str:
    """Describe an exception of the user's code: its class, its text, and the line."""
    if isinstance(error, SyntaxError):
        file = Path(error.filename or "").name
        return f"{type(error).__name__}: {error.msg}, line {error.lineno} of {file}"
    said = traceback.format_exception_only(error)[0].strip().partition("\n")[0][:_LONGEST]
    # The first frames are ours, and the last ones may be in a library that the user's code calls.
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent != _OURS]
    lines = [frame.lineno for frame in theirs if frame.filename == theirs[0].filename]
    return f"{said}, line {lines[-1]}" if lines else said


def generated_id(dead_letter: DeadLetter) -> str:
    """Message id that the rules generate for the event as it is.

    It is derived from the bytes of the event. If it were derived from repaired bytes, a replay of
    the raw record and the repaired dead letter would look like two events.
    """
    value = dead_letter.value or b""
    located = locate(dead_letter.text or b"", dead_letter.decoded, dead_letter.source)
    origin = read_origin(as_raw(dead_letter, value), accept_headers=True)
    # An item is JSON; the bytes of a whole record are in the format in which it was sent.
    if located is not None and located.envelope is not None:
        value = located.raw
    return generated_message_id(origin.message_id_source(), value)


def with_message_id(dead_letter: DeadLetter, value: bytes, message_id: str) -> bytes:
    """Add the message id to the event of a repaired value, unless it has one of its own."""
    located = locate(value, decoded_value(value), dead_letter.source)
    if located is None or has_message_id(located.event):
        return value
    if located.envelope is None and "batch" in located.event:
        return value
    return located.around(encode_json({**located.event, _MESSAGE_ID: message_id}))


def has_message_id(event: dict[str, Any]) -> bool:
    """Whether an event has a usable message id of its own."""
    return type(read_id(event.get(_MESSAGE_ID))) is str
