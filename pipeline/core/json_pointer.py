"""JSON Pointers (RFC 6901) into decoded events: find, set, delete and compare values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue

ABSENT: Final = msgspec.UNSET
"""Stands for a value that does not exist."""
_NO_ESCAPE: Final = re.compile("~(?![01])")
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}")
_NUMBERS: Final = frozenset({int, Decimal})


def tokens(pointer: str) -> list[str]:
    """The steps of a pointer; ValueError when the text is not a JSON Pointer."""
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON Pointer such as /properties/currency")
    if _NO_ESCAPE.search(pointer):
        raise ValueError(
            f"{pointer!r} is not a JSON Pointer: write ~ as ~0, and / within a name as ~1"
        )
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def is_pointer(text: str) -> bool:
    """Whether the text is a JSON Pointer below the document itself."""
    return text.startswith("/") and not _NO_ESCAPE.search(text)


def escape_name(name: str) -> str:
    """The name of a member, escaped for use in a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def find(document: JsonValue, pointer: str) -> JsonValue:
    """The value that the pointer refers to, or ABSENT."""
    found = document
    for step in tokens(pointer):
        if type(found) is dict:
            found = found.get(step, ABSENT)
        else:
            number = _index(found, step)
            found = ABSENT if number is None else found[number]
        if found is ABSENT:
            return ABSENT
    return found


def put(document: JsonValue, pointer: str, value: JsonValue) -> bool:
    """Set a member, or replace an item; missing objects on the path are created.

    Returns False when a value on the path is neither an object nor an array.
    """
    *path, last = tokens(pointer)
    holder = document
    for step in path:
        if type(holder) is dict:
            holder = holder.setdefault(step, {})
        else:
            number = _index(holder, step)
            if number is None:
                return False
            holder = holder[number]
    if type(holder) is dict:
        holder[last] = value
        return True
    number = _index(holder, last)
    if number is None:
        return False
    holder[number] = value
    return True


def delete(document: JsonValue, pointer: str) -> bool:
    """Delete a member or an item; False when it does not exist."""
    above, _, last = pointer.rpartition("/")
    holder = find(document, above) if above else document
    (step,) = tokens(f"/{last}")
    if type(holder) is dict and step in holder:
        del holder[step]
        return True
    number = _index(holder, step)
    if number is None:
        return False
    del holder[number]
    return True


def _index(value: JsonValue, step: str) -> int | None:
    """Index of the array item that a step refers to; None when there is no such item."""
    if type(value) is not list or not _NUMBER.fullmatch(step):
        return None
    return int(step) if int(step) < len(value) else None


class ValueDifference(NamedTuple):
    """One value that differs between two documents."""

    pointer: str
    """JSON Pointer to the value; empty for the whole document."""
    before: Any
    """Value in the first document; ABSENT when only the second one has it."""
    after: Any
    """Value in the second document; ABSENT when only the first one has it."""


def differences(before: JsonValue, after: JsonValue, at: str = "") -> Iterator[ValueDifference]:
    """Differences between two decoded documents, members sorted by name.

    Numbers are equal when their values are, to the last digit, however they are written. Arrays of
    different lengths differ as a whole.
    """
    if type(before) is dict and type(after) is dict:
        for name in sorted(before.keys() | after.keys()):
            place = f"{at}/{escape_name(name)}"
            yield from differences(before.get(name, ABSENT), after.get(name, ABSENT), place)
    elif type(before) is list and type(after) is list and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{at}/{index}")
    elif not _is_equal(before, after):
        yield ValueDifference(at, before, after)


def _is_equal(before: JsonValue, after: JsonValue) -> bool:
    if ABSENT in (before, after):
        return False
    if type(before) in _NUMBERS and type(after) in _NUMBERS:
        return bool(before == after)
    return encode_json(before) == encode_json(after)
