r"""Halves of surrogate pairs among the \u escapes of JSON text (contract §1).

A title that was cut after a number of UTF-16 units ends in half an emoji: `"\ud83d"`. No text can
hold it, so each half is replaced by `\ufffd`, the replacement character, which is as long: all
positions stay.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final, NamedTuple, TypeAlias

import msgspec

from pipeline.core.json_pointer import escape_name

MAX_POINTERS: Final = 32
"""Number of changed strings that are named; an event has no more warnings than that."""
MAX_POINTER_LENGTH: Final = 200
"""Without it, one key of a megabyte would be in as many warnings."""

_REPLACEMENT: Final = rb"\ufffd"
_TO_NEXT_HALF: Final = re.compile(
    rb"""(?:
        [^\\]++
      | \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}  # a whole pair
      | \\(?!u[dD][89a-fA-F][0-9a-fA-F]{2}) [\s\S]?                  # any other escape
    )*+
    (\\u[dD][89a-fA-F][0-9a-fA-F]{2})?""",
    re.VERBOSE,
)
"""Goes on to the next half or to the end: it never fails, so nothing is read twice."""
_TOKEN: Final = re.compile(
    rb'("(?:[^"\\]++|\\.)*+")(?:[ \t\r\n]*+(:))?|[\[\]{}]|,(?:[^"\[\]{}]++|\[]|{})*+', re.DOTALL
)
"""A string, a key with its colon, a bracket, or a comma with the plain items that follow it."""
_COMMA: Final = ord(",")
_KEY: Final = 2
"""Number of the last group that matches a key."""
_decode_text: Final = msgspec.json.Decoder(str).decode


def find_halves(value: bytes) -> list[int]:
    """Positions of the escapes that are half of a pair, in order."""
    if rb"\ud" not in value and rb"\uD" not in value:
        return []
    starts = [match.start(1) for match in _TO_NEXT_HALF.finditer(value)]
    return [start for start in starts if start >= 0]


def replace_halves(value: bytes, positions: list[int]) -> bytes:
    """The same JSON text with a replacement character for the half at each position."""
    text = bytearray(value)
    for start in positions:
        text[start : start + len(_REPLACEMENT)] = _REPLACEMENT
    return bytes(text)


def changed_strings(value: bytes, positions: list[int]) -> list[str]:
    """JSON Pointers of the strings and keys with a half at these positions, in document order.

    `value` is valid JSON: the text after the replacement. There are at most `MAX_POINTERS`; one
    that would be too long refers to the innermost object or array around the string that fits.
    """
    pointers: dict[str, None] = {}
    path, next_half = _Path(), 0
    for token in _TOKEN.finditer(value):
        if next_half == len(positions) or len(pointers) == MAX_POINTERS:
            break
        kind = token.lastindex
        if kind is None:
            path.go_on(token[0])
            continue
        if kind == _KEY:
            path.enter_member(token[1])
        if positions[next_half] < token.end():
            pointers[path.pointer()] = None
            next_half = bisect_left(positions, token.end())
    return list(pointers)


_Step: TypeAlias = int | bytes
"""Index of an array item, or the key of a member as it is written."""


class _Place(NamedTuple):
    """Pointer to an open object or array."""

    pointer: str
    complete: bool
    """False when the pointer was too long and refers to something around it."""


class _Path:
    """Objects and arrays that are open while JSON text is read."""

    __slots__ = ("_places", "_steps")

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        """The current member or item of each of them."""
        self._places: list[_Place] = [_Place("", complete=True)]
        """Pointers to the outermost of them, each made when it is first needed."""

    def go_on(self, mark: bytes) -> None:
        """Go on to the next item, or into or out of an object or array."""
        steps = self._steps
        if mark[0] == _COMMA:
            last = steps[-1]
            if isinstance(last, int):
                steps[-1] = last + mark.count(b",")
        elif mark == b"{":
            steps.append(b"")
        elif mark == b"[":
            steps.append(0)
        else:
            steps.pop()
            if len(self._places) > len(steps) > 0:
                self._places.pop()

    def enter_member(self, key: bytes) -> None:
        """Go on to the member with this key."""
        self._steps[-1] = key

    def pointer(self) -> str:
        """Pointer to the current member or item."""
        steps, places = self._steps, self._places
        if not steps:
            return ""
        while len(places) < len(steps):
            places.append(_below(places[-1], steps[len(places) - 1]))
        return _below(places[-1], steps[-1]).pointer


def _below(place: _Place, step: _Step) -> _Place:
    if not place.complete:
        return place
    if isinstance(step, int):
        name = str(step)
    elif len(step) > 6 * MAX_POINTER_LENGTH:  # a character takes at most 6 bytes
        return _Place(place.pointer, complete=False)
    else:
        name = escape_name(_decode_text(step))
    pointer = f"{place.pointer}/{name}"
    if len(pointer) > MAX_POINTER_LENGTH:
        return _Place(place.pointer, complete=False)
    return _Place(pointer, complete=True)
