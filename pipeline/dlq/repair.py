"""Repairs: what is changed in a letter's event before it is tried again.

A repair works on the parsed event with exact numbers; of a batch letter, on the item. What a repair
does not touch stays byte for byte.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.identities import generated_message_id, read_id
from pipeline.core.origin import read_origin
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.event_location import locate
from pipeline.dlq.reprocess import as_raw
from pipeline.dlq.strict_json import NoJsonError, json_of

_MESSAGE_ID: Final = "messageId"
_DEEPEST: Final = 512
_OURS: Final = Path(__file__).parent
_LONGEST: Final = 300
"""Characters that are kept of what an exception says."""


class RepairError(Exception):
    """A repair failed on one letter; the text is a sentence that names it."""


class Repair(Protocol):
    """Changes a letter's value."""

    @property
    def name(self) -> str:
        """What the ledger notes of it; empty when nothing is changed."""

    def apply(self, letter: DeadLetter) -> bytes | None:
        """The value to try; None to leave the letter out. Raises RepairError."""


class _None:
    """No repair: a letter without a value is tried as the empty one that it is."""

    name = ""

    def apply(self, letter: DeadLetter) -> bytes | None:
        """The letter's own value."""
        return letter.value or b""


def no_repair() -> Repair:
    """Letters are tried as they are."""
    return _None()


Change = Callable[[dict[str, Any], DeadLetter], Any]
"""Gets an event of its own; gives the event to try, or None."""


class EventRepair:
    """A repair by a function of the event, and by one of the bytes of what does not parse."""

    def __init__(
        self,
        name: str,
        change: Change | None,
        change_bytes: Callable[[bytes, DeadLetter], Any] | None = None,
    ) -> None:
        self.name = name
        self._change = change
        self._change_bytes = change_bytes

    def apply(self, letter: DeadLetter) -> bytes | None:
        """See `Repair`."""
        value, decoded = letter.value or b"", letter.decoded
        if type(decoded) is dict:
            return value if self._change is None else self._by_event(self._change, letter, value)
        if self._change_bytes is None:
            return value
        changed: bytes | None = self._call(self._change_bytes, value, letter)
        # A plain copy: a class of the user's file is known in its own process only.
        return None if changed is None else bytes(memoryview(changed))

    def _by_event(self, change: Change, letter: DeadLetter, value: bytes) -> bytes | None:
        located = locate(value, letter.decoded, letter.source)
        if located is None:
            return value
        # Decoded anew: a copy of its own, however deep it is.
        changed = self._call(change, decode(located.raw, _DEEPEST), letter)
        if changed is None:
            return None
        try:
            new = json_of(changed, _DEEPEST)
        except NoJsonError as error:
            text = f"{letter.place}: {self.name} gave what is no JSON: {error}"
            raise RepairError(text) from error
        return value if new == encode_json(located.event) else located.around(new)

    def _call(self, function: Callable[..., Any], given: Any, letter: DeadLetter) -> Any:  # noqa: ANN401  the user's
        """What the function gives: another one of what it was given, or None."""
        try:
            changed = function(given, letter)
        except Exception as error:  # whatever the user's code raises concerns this letter only
            text = f"{letter.place}: {self.name} failed: {what_happened(error)}"
            raise RepairError(text) from error
        if changed is None or isinstance(changed, type(given)):
            return changed
        was, wanted = type(changed).__name__, type(given).__name__
        raise RepairError(f"{letter.place}: {self.name} gave {was}, not {wanted} or None")


def what_happened(error: BaseException) -> str:
    """An exception of a user's code as a few words: its class, its text, and the line."""
    if isinstance(error, SyntaxError):
        file = Path(error.filename or "").name
        return f"{type(error).__name__}: {error.msg}, line {error.lineno} of {file}"
    said = traceback.format_exception_only(error)[0].strip().partition("\n")[0][:_LONGEST]
    # The first frames are ours, and the last ones may be in a library that the user's code calls.
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent != _OURS]
    lines = [frame.lineno for frame in theirs if frame.filename == theirs[0].filename]
    return f"{said}, line {lines[-1]}" if lines else said


def generated_id(letter: DeadLetter) -> str:
    """The message id that the rules generate for the letter's event, as it is.

    It is made from the event's bytes. Were it made from repaired ones, a replay of the raw record
    and the repaired letter would be two events to everybody.
    """
    value = letter.value or b""
    located = locate(value, letter.decoded, letter.source)
    origin = read_origin(as_raw(letter), accept_headers=True)
    return generated_message_id(
        origin.message_id_source(), value if located is None else located.raw
    )


def with_message_id(letter: DeadLetter, value: bytes, message_id: str) -> bytes:
    """A repaired value of a letter; its event gets the id, unless it has one of its own."""
    located = locate(value, decode(value, _DEEPEST), letter.source)
    if located is None or has_message_id(located.event):
        return value
    if located.envelope is None and "batch" in located.event:
        return value
    return located.around(encode_json({**located.event, _MESSAGE_ID: message_id}))


def has_message_id(event: dict[str, Any]) -> bool:
    """Whether an event has a usable id of its own."""
    return type(read_id(event.get(_MESSAGE_ID))) is str
