"""Parts of an event that are JSON text, decoded exactly."""

from __future__ import annotations

import msgspec

from pipeline.core.json_value import JsonObject, JsonValue
from pipeline.core.members import Members, read_any_value, read_members
from pipeline.errors import UnreadableOutputError

_BROKEN = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_part(text: bytes | None) -> JsonValue:
    """A decoded part; None without one."""
    if text is None:
        return None
    try:
        return read_any_value(text)
    except _BROKEN as error:
        raise UnreadableOutputError(f"a part of the event can't be decoded: {error}") from error


def read_object(text: bytes | None) -> JsonObject:
    """A decoded object; empty without one."""
    found = read_part(text)
    return found if type(found) is dict else {}


def read_fields(text: bytes) -> Members:
    """The top-level members of a message, not yet decoded."""
    try:
        text.decode()  # the decoder does not check the text of what it skips
        return read_members(text)
    except _BROKEN as error:
        raise UnreadableOutputError(f"the value is not one JSON object: {error}") from error
