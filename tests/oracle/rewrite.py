"""Changes records as JSON: what version 1 must be sent to do what version 2 does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from tests.oracle.facts import UNREADABLE, is_unreadable
from tests.support import Digits, text_of

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL)
_MAY_BE_UNREADABLE: Final = re.compile(rb"[0-9][eE][+-]?[0-9]{18}|[0-9]{4301}")
_HALF: Final = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u]|\\u(?![dD][89a-fA-F]))"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
NO_AMOUNT: Final = "no amount "
"""Before a text that version 2 does not read as an amount or a currency."""


class Members(list[tuple[str, Any]]):
    """Members of an object, repeated names included."""


def with_whole_characters(value: bytes) -> bytes:
    r"""The text with \ufffd for each half of a surrogate pair."""
    return _HALF.sub(lambda match: match[1] or rb"\ufffd", value)


def with_readable_numbers(value: bytes) -> bytes:
    """The text with another huge or tiny number for each that version 1 can't read."""
    if not _MAY_BE_UNREADABLE.search(value):
        return value
    return _TOKEN.sub(lambda match: _readable(match[0]), value)


def _readable(token: bytes) -> bytes:
    text = token.decode("latin-1")
    return UNREADABLE.encode() if text[0] in "-0123456789" and is_unreadable(text) else token


def rewritten(value: bytes, change: Callable[[Members], None]) -> bytes:
    """The record with a change made to each of its events; as it is when it can't be read."""
    try:
        document = json.loads(
            value.removeprefix(b"\xef\xbb\xbf"),
            object_pairs_hook=Members,
            parse_int=Digits,
            parse_float=Digits,
            parse_constant=Digits,
        )
        if type(document) is not Members:
            return value
        before = _text(document)
        for event in _events(document):
            change(event)
        after = _text(document)
    except (ValueError, RecursionError):
        return value
    return value if before == after else after.encode()


def _events(document: Members) -> list[Members]:
    batch = get(document, "batch")
    if type(batch) is not list or get(document, "event") is not None:
        return [document]
    return [document, *(item for item in batch if type(item) is Members)]


def repeats(value: bytes | None, names: frozenset[str]) -> bool:
    """Whether an event's properties have one of these names twice."""
    found = []

    def look(event: Members) -> None:
        properties = get(event, "properties")
        if type(properties) is Members:
            known = [name for name, _ in properties if name in names]
            found.append(len(set(known)) < len(known))

    rewritten(value or b"", look)
    return any(found)


def get(members: Members, name: str) -> Any:
    """The value of a member, the last one of its name; None without one."""
    return next((value for known, value in reversed(members) if known == name), None)


def put(members: Members, name: str, value: Any) -> None:
    """Replace the value of a member, the last one of its name."""
    index = max(index for index, (known, _) in enumerate(members) if known == name)
    members[index] = (name, value)


def _text(value: Any) -> str:
    if type(value) is Members:
        return "{" + ",".join([f"{_text(name)}:{_text(inner)}" for name, inner in value]) + "}"
    if type(value) is list:
        return "[" + ",".join([_text(inner) for inner in value]) + "]"
    return text_of(value)
