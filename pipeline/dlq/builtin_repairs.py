"""Built-in repairs: set, delete, default and replace at a location in the event.

They change only events with a violation at that location, unless they are to be applied everywhere:
otherwise setting a currency would relabel valid dollars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.dead_letter_fields import Problem
from pipeline.core.decode import decode
from pipeline.core.json_pointer import ABSENT, delete, find, put, tokens
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid, Reason
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.repair import EventRepair

_DEEPEST: Final = 512
_IDS: Final = ("/userId", "/anonymousId")


@dataclass(frozen=True)
class Fix:
    """One change at one location."""

    flag: str
    """Flag and value on the command line."""
    pointer: str
    act: Callable[[dict[str, Any]], object]
    """Changes the event in place."""


def set_value(text: str) -> Fix:
    """Read `POINTER=VALUE`, with VALUE as JSON, or else as text; raises ValueError."""
    pointer, value = _parts(text, 2)
    new = _json_or_text(value)
    return Fix(f"--set {text}", pointer, lambda event: put(event, pointer, new))


def default_value(text: str) -> Fix:
    """Read `POINTER=VALUE` for members that are absent or null; raises ValueError."""
    pointer, value = _parts(text, 2)
    new = _json_or_text(value)

    def act(event: dict[str, Any]) -> None:
        if (found := find(event, pointer)) is None or found is ABSENT:
            put(event, pointer, new)

    return Fix(f"--default {text}", pointer, act)


def delete_member(text: str) -> Fix:
    """Read `POINTER`; raises ValueError."""
    _parts(text, 1)
    return Fix(f"--delete {text}", text, lambda event: delete(event, text))


def replace_text(text: str) -> Fix:
    r"""Read `POINTER=REGEX=TEXT`, where `\1` in TEXT is the first group; raises ValueError."""
    pointer, pattern, new = _parts(text, 3)
    try:
        regex = re.compile(pattern)
        regex.sub(new, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{text!r}: {error}") from error

    def act(event: dict[str, Any]) -> None:
        found = find(event, pointer)
        if type(found) is str:
            put(event, pointer, regex.sub(new, found))

    return Fix(f"--replace {text}", pointer, act)


def repair_of(fixes: Iterable[Fix], *, everywhere: bool) -> EventRepair:
    """Combine fixes, which are applied one after the other, into one repair."""
    in_order = list(fixes)

    def change(event: dict[str, Any], dead_letter: DeadLetter) -> dict[str, Any]:
        violated = {pointer for each in dead_letter.problems for pointer in _pointers(each)}
        for fix in in_order:
            if everywhere or fix.pointer in violated:
                fix.act(event)
        return event

    name = " ".join(fix.flag for fix in in_order)
    return EventRepair(f"{name} --everywhere" if everywhere else name, change)


def _pointers(problem: Problem) -> tuple[str, ...]:
    """Locations of a violation; when all ids are missing, it is one of the whole event."""
    return _IDS if problem.code == Reason.NO_USER_ANON_ID else (problem.pointer,)


def _parts(text: str, number: int) -> list[str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8 text") from None
    parts = text.split("=", number - 1)
    if len(parts) != number:
        wanted = "POINTER=VALUE" if number == 2 else "POINTER=REGEX=TEXT"  # noqa: PLR2004
        raise ValueError(f"{text!r} is not {wanted}")
    tokens(parts[0])
    return parts


def _json_or_text(text: str) -> JsonValue:
    """Read VALUE as JSON, or else as text; raises ValueError for what looks like invalid JSON.

    As text it would be quite another value than the intended one.
    """
    value = decode(text.encode(), _DEEPEST)
    if type(value) is not Invalid:
        return value
    if text.startswith(("{", "[", '"')) or _is_lenient_json(text):
        why = value.violations[0].detail
        raise ValueError(f"{text!r}: {why} (text is given in quotes, such as '\"NaN\"')")
    return text


def _is_lenient_json(text: str) -> bool:
    """Whether a reader that accepts NaN, infinity and numbers of any size accepts it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
