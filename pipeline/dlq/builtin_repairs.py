"""Ready-made repairs: set, delete, default and replace at a place in the event.

They touch only letters with a violation at that place, unless they are meant everywhere: else
setting a currency would relabel good dollars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.decode import decode
from pipeline.core.json_pointer import ABSENT, delete, find, put, tokens
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid, Reason
from pipeline.dlq.dead_letter import DeadLetter, Problem
from pipeline.dlq.repair import EventRepair

_DEEPEST: Final = 512
_IDS: Final = ("/userId", "/anonymousId")


@dataclass(frozen=True)
class Fix:
    """One change at one place."""

    said: str
    """As it was given on the command line."""
    pointer: str
    act: Callable[[dict[str, Any]], object]
    """Changes the event that it is given."""


def set_value(text: str) -> Fix:
    """`POINTER=VALUE`: VALUE as JSON, or as text when it is none. ValueError."""
    pointer, value = _parts(text, 2)
    new = _json_or_text(value)
    return Fix(f"--set {text}", pointer, lambda event: put(event, pointer, new))


def default_value(text: str) -> Fix:
    """`POINTER=VALUE`, where nothing or null is. ValueError."""
    pointer, value = _parts(text, 2)
    new = _json_or_text(value)

    def act(event: dict[str, Any]) -> None:
        if (found := find(event, pointer)) is None or found is ABSENT:
            put(event, pointer, new)

    return Fix(f"--default {text}", pointer, act)


def delete_member(text: str) -> Fix:
    """`POINTER`. ValueError."""
    _parts(text, 1)
    return Fix(f"--delete {text}", text, lambda event: delete(event, text))


def replace_text(text: str) -> Fix:
    r"""`POINTER=REGEX=TEXT`: every match in a text; `\1` in TEXT is the first group. ValueError."""
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
    """The fixes one after the other, as one repair."""
    wanted = list(fixes)

    def change(event: dict[str, Any], letter: DeadLetter) -> dict[str, Any]:
        violated = {place for problem in letter.problems for place in _places(problem)}
        for fix in wanted:
            if everywhere or fix.pointer in violated:
                fix.act(event)
        return event

    name = " ".join(fix.said for fix in wanted)
    return EventRepair(f"{name} --everywhere" if everywhere else name, change)


def _places(problem: Problem) -> tuple[str, ...]:
    """Where a violation is: what is missing altogether is a violation of the whole event."""
    return _IDS if problem.code == Reason.NO_USER_ANON_ID else (problem.pointer,)


def _parts(text: str, number: int) -> list[str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is no UTF-8 text") from None
    parts = text.split("=", number - 1)
    if len(parts) != number:
        wanted = "POINTER=VALUE" if number == 2 else "POINTER=REGEX=TEXT"  # noqa: PLR2004
        raise ValueError(f"{text!r} is not {wanted}")
    tokens(parts[0])
    return parts


def _json_or_text(text: str) -> JsonValue:
    """VALUE as JSON, or as text. ValueError for what may be meant as JSON and is none.

    As text it would be quite another value than the one that was meant.
    """
    value = decode(text.encode(), _DEEPEST)
    if type(value) is not Invalid:
        return value
    if text.startswith(("{", "[", '"')) or _is_lenient_json(text):
        why = value.violations[0].detail
        raise ValueError(f"{text!r}: {why} (text is given in quotes, such as '\"NaN\"')")
    return text


def _is_lenient_json(text: str) -> bool:
    """Whether a JSON reader that takes NaN, infinity and numbers of any size reads it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
