"""Items of a batch envelope that can't be decoded as a whole, found by brackets and quotes alone.

One item with `NaN`, a bad escape, a byte that is not UTF-8 or too many levels makes the whole
envelope unreadable. So its items are told apart without reading them; then each is judged by
itself, and its neighbours are saved (contract §2).
"""

from __future__ import annotations

import re
from itertools import accumulate, compress
from typing import Final, NamedTuple

import msgspec

_STRING: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)', re.DOTALL)
_MARK: Final = re.compile(rb"[\[\]{},]")
_NO_MARK: Final = bytes(set(range(256)) - set(b"[]{},"))
_LEVELS: Final = bytes.maketrans(b"[{]},", b"\x01\x01\xff\xff\x00")
"""Maps each mark to what it adds to the depth, as a signed byte."""
_KEY: Final = re.compile(rb'[ \t\r\n]*+("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL)
_BATCH: Final = re.compile(rb'"batch"|\\u00')
"""What a text without items lacks: the key, or escapes in which it can be spelled."""
_CLOSING: Final = b"]}"
_OPEN: Final = frozenset({b"[", b"{"})
_CLOSED: Final = frozenset({b"]", b"}"})
_ARRAY: Final = ord("[")
_SPACE: Final = b" \t\r\n"
_MARK_OF_ORDER: Final = b"\xef\xbb\xbf"
"""A byte-order mark, which is skipped before a record, and is a fault of the envelope before an
item."""

_decode_text: Final = msgspec.json.Decoder(str).decode


class FoundItems(NamedTuple):
    """Items of an envelope, none of them decoded yet: any of them may be unreadable."""

    items: list[bytes]
    before: bytes
    """All bytes in front of the first item."""
    after: bytes
    """All bytes behind the last item: `before + item + after` is an envelope of one item."""


def find_items(value: bytes) -> FoundItems | None:
    """Find the items of a batch envelope, in time that grows with its length only.

    None when they can't be told apart: `value` is not one object that is closed at its end, it does
    not have the key `batch` exactly once with an array, or a comma or an item is missing there.

    The caller decodes the items, and `before + b"0" + after`, which shows whether all else in the
    envelope is valid.
    """
    if not _BATCH.search(value):
        return None
    marks = _Marks(value)
    if not marks.is_one_object():
        return None
    first = _array_of_batch(marks)
    if first is None:
        return None
    last = marks.levels.index(1, first)
    items = _items(marks, first, last)
    if items is None:
        return None
    return FoundItems(items, value[: marks.positions[first] + 1], value[marks.positions[last] :])


class _Marks:
    """Brackets and commas outside of strings, in order."""

    __slots__ = ("kinds", "levels", "positions", "value")

    def __init__(self, value: bytes) -> None:
        # No Python statement runs per mark: an envelope may consist of nothing else.
        parts = _STRING.split(value)
        parts[1::2] = map(bytes, map(len, parts[1::2]))
        without_strings = b"".join(parts)
        self.value = value
        self.kinds = without_strings.translate(None, _NO_MARK)
        self.positions = [match.start() for match in _MARK.finditer(without_strings)]
        steps = memoryview(self.kinds.translate(_LEVELS)).cast("b")
        self.levels = list(accumulate(steps))
        """Number of objects and arrays that are open behind each mark."""

    def is_one_object(self) -> bool:
        """Whether the text is one object, as far as brackets show."""
        if 0 not in self.levels or self.levels.index(0) != len(self.levels) - 1:
            return False
        text = self.value.strip(_SPACE)
        return text.startswith(b"{") and text.endswith(b"}")

    def at(self, level: int, first: int, last: int) -> list[int]:
        """Numbers of the marks in a range behind which so many objects and arrays are open."""
        return list(compress(range(first, last), map(level.__eq__, self.levels[first:last])))


def _array_of_batch(marks: _Marks) -> int | None:
    """Number of the mark that opens the array `batch`; None when it is no array, or not one."""
    found: list[int] = []
    for number in marks.at(1, 0, len(marks.levels)):
        if marks.kinds[number] in _CLOSING:
            continue
        key = _KEY.match(marks.value, marks.positions[number] + 1)
        if key is None or not _spells_batch(key[1]):
            continue
        if marks.positions[number + 1] != key.end() or marks.kinds[number + 1] != _ARRAY:
            return None
        found.append(number + 1)
    return found[0] if len(found) == 1 else None


def _spells_batch(key: bytes) -> bool:
    if b"\\" not in key:
        return key == b'"batch"'
    try:
        return _decode_text(key) == "batch"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _items(marks: _Marks, first: int, last: int) -> list[bytes] | None:
    """The items between two marks; None when a comma or an item is missing."""
    items: list[bytes] = []
    start, closed = first, 0
    for number in [*marks.at(2, first + 1, last), last]:
        if number != last and marks.kinds[number] in _CLOSING:
            closed += 1
            continue
        item = marks.value[marks.positions[start] + 1 : marks.positions[number]].strip(_SPACE)
        bracketed = item[:1] in _OPEN and item[-1:] in _CLOSED
        if not item or closed > 1 or bracketed != (closed == 1) or item.startswith(_MARK_OF_ORDER):
            return None
        items.append(item)
        start, closed = number, 0
    return items
