"""JSON Pointers (RFC 6901) into decoded events: look up, set, delete, compare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue

ABSENT: Final = msgspec.UNSET
"""There is nothing at the place."""
_NO_ESCAPE: Final = re.compile("~(?![01])")
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}")


def tokens(pointer: str) -> list[str]:
    """The steps of a pointer; ValueError when it is none."""
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON Pointer, such as /properties/currency")
    if _NO_ESCAPE.search(pointer):
        raise ValueError(
            f"{pointer!r} is no JSON Pointer: a ~ is written as ~0, and a / within a name as ~1"
        )
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def is_pointer(text: str) -> bool:
    """Whether it is one."""
    return text.startswith("/") and not _NO_ESCAPE.search(text)


def step_to(name: str) -> str:
    """The step to a member of this name, as it is written in a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def find(document: JsonValue, pointer: str) -> JsonValue:
    """What is at the place, or ABSENT."""
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
    """Set a member or an item that exists; objects that are missing on the way are made.

    False when something on the way is neither object nor array.
    """
    *way, last = tokens(pointer)
    holder = document
    for step in way:
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
    """Remove a member or an item; False when it is not there."""
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
    """Which item of an array a step means."""
    if type(value) is not list or not _NUMBER.fullmatch(step):
        return None
    return int(step) if int(step) < len(value) else None


class Difference(NamedTuple):
    """One place at which two documents differ."""

    pointer: str
    """JSON Pointer; empty for the whole document."""
    before: Any
    """ABSENT where only the other one has something."""
    after: Any


def differences(before: JsonValue, after: JsonValue, at: str = "") -> Iterator[Difference]:
    """Where two decoded documents differ, digit for digit; members in the order of their names.

    Arrays of different length differ as a whole.
    """
    if type(before) is dict and type(after) is dict:
        for name in sorted(before.keys() | after.keys()):
            place = f"{at}/{step_to(name)}"
            yield from differences(before.get(name, ABSENT), after.get(name, ABSENT), place)
    elif type(before) is list and type(after) is list and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{at}/{index}")
    elif ABSENT in (before, after) or encode_json(before) != encode_json(after):
        yield Difference(at, before, after)
