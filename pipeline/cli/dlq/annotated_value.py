"""The value of a dead letter line by line, with violations beside their locations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from unicodedata import east_asian_width

from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped, one_line
from pipeline.core.json_pointer import ABSENT, escape_name, find, is_pointer
from pipeline.core.json_value import JsonValue
from pipeline.core.masking import masked_event, masked_text
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.event_location import ITEM, locate

_POSITION: Final = re.compile(r"\(byte (\d+)\)")
_AROUND: Final = 60
"""Number of characters that are shown on both sides of a position in text."""
_LONGEST_TEXT: Final = 4000
_LONGEST_HEX: Final = 512
_PER_LINE: Final = 16
_WIDE: Final = frozenset("WF")
_FIRST_PRINTABLE, _BEHIND_PRINTABLE = 0x20, 0x7F


class AnnotatedLine(NamedTuple):
    """One line for a terminal, already escaped."""

    text: str
    notes: tuple[str, ...] = ()
    """Violations of the member that begins in this line."""


def annotated_value(dead_letter: DeadLetter, *, reveal: bool, as_json: bool) -> list[AnnotatedLine]:
    """Format the value as indented JSON, as text, or as hexadecimal bytes; masked unless `reveal`.

    A framed value is shown as the JSON that it stands for. With `as_json` it may be decoded in this
    process.
    """
    value = dead_letter.value
    if value is None:
        return [AnnotatedLine("(no value)")]
    if not value:
        return [AnnotatedLine("(no bytes)")]
    if as_json and type(dead_letter.decoded) in {dict, list}:
        shown = dead_letter.decoded if reveal else masked_event(dead_letter.decoded)
        return list(_json_lines(shown, _marks(dead_letter)))
    position = _position(dead_letter)
    if reveal and not _is_text(value):
        return list(_hex_lines(value, position))
    if b"\0" in value or dead_letter.frame is not None:
        return [AnnotatedLine(f"({len(value)} bytes that are not UTF-8 text; --reveal shows them)")]
    return list(_text_lines(value, position, reveal=reveal))


def _is_text(value: bytes) -> bool:
    try:
        return "\0" not in value.decode()
    except UnicodeDecodeError:
        return False


def _position(dead_letter: DeadLetter) -> int | None:
    """Position in bytes where reading failed; None when no violation states it."""
    for problem in dead_letter.problems:
        match = _POSITION.search(problem.detail)
        if match is not None:
            return min(int(match[1]), len(dead_letter.value or b""))
    return None


def _marks(dead_letter: DeadLetter) -> dict[str, tuple[str, ...]]:
    """Notes by their JSON Pointer into the whole value.

    A missing member is noted at the object that lacks it.
    """
    decoded = dead_letter.decoded
    located = locate(dead_letter.text or b"", decoded, dead_letter.source)
    root = "" if located is None or located.envelope is None else ITEM
    marks: dict[str, tuple[str, ...]] = {}
    for problem in dead_letter.problems:
        location, note = _location(decoded, root, problem.pointer), problem.code
        if not location.endswith(problem.pointer):
            note = f"{note} {problem.pointer}"
        if note not in marks.get(location, ()):
            marks[location] = (*marks.get(location, ()), note)
    return marks


def _location(decoded: JsonValue, root: str, pointer: str) -> str:
    """Pointer to the deepest member that exists; shared fields of an item are in the envelope."""
    if pointer and not is_pointer(pointer):
        return root
    while pointer:
        for location in (root + pointer, pointer):
            if find(decoded, location) is not ABSENT:
                return location
        pointer = pointer.rpartition("/")[0]
    return root


def _json_lines(value: JsonValue, marks: Mapping[str, Sequence[str]]) -> Iterator[AnnotatedLine]:
    """Format JSON, indented by two spaces."""
    yield from _lines("", "", value, "", "", marks)


def _lines(  # noqa: PLR0913, PLR0917  one for each part of a line
    indent: str,
    name: str,
    value: JsonValue,
    pointer: str,
    comma: str,
    marks: Mapping[str, Sequence[str]],
) -> Iterator[AnnotatedLine]:
    notes = tuple(marks.get(pointer, ()))
    members: list[tuple[str, str, Any]]
    if isinstance(value, dict) and value:
        members = [(_string(key) + ": ", escape_name(key), each) for key, each in value.items()]
        opening, closing = "{", "}"
    elif isinstance(value, list) and value:
        members = [("", str(number), each) for number, each in enumerate(value)]
        opening, closing = "[", "]"
    else:
        yield AnnotatedLine(f"{indent}{name}{_string(value)}{comma}", notes)
        return
    yield AnnotatedLine(f"{indent}{name}{opening}", notes)
    last = len(members) - 1
    for number, (title, step, each) in enumerate(members):
        behind = "" if number == last else ","
        yield from _lines(f"{indent}  ", title, each, f"{pointer}/{step}", behind, marks)
    yield AnnotatedLine(f"{indent}{closing}{comma}")


def _string(value: JsonValue) -> str:
    return escaped(encode_json(value).decode())


def _text_lines(value: bytes, position: int | None, *, reveal: bool) -> Iterator[AnnotatedLine]:
    """The text, shortened when it is long, below the position where reading failed."""

    def shown(part: bytes) -> str:
        return part.decode(errors="backslashreplace") if reveal else masked_text(part)

    text = shown(value)
    before = "" if position is None else shown(value[:position])
    if position is not None and text.startswith(before):
        start, end = max(0, len(before) - _AROUND), len(before) + _AROUND
        first = ("…" if start else "") + one_line(before[start:])
        yield AnnotatedLine(
            first + one_line(text[len(before) : end]) + ("…" if end < len(text) else "")
        )
        yield AnnotatedLine(" " * _width(first) + "▲", (f"byte {position}",))
    yield AnnotatedLine(one_line(text[:_LONGEST_TEXT]))
    if len(text) > _LONGEST_TEXT:
        yield AnnotatedLine(
            f"… and {len(text) - _LONGEST_TEXT:,} more characters (--raw writes all)"
        )


def _width(text: str) -> int:
    """Number of columns on a terminal."""
    return sum(2 if east_asian_width(character) in _WIDE else 1 for character in text)


def _hex_lines(value: bytes, position: int | None) -> Iterator[AnnotatedLine]:
    """Offsets, bytes and characters like those of hexdump, from near the position on."""
    near = max(0, (position or 0) - _LONGEST_HEX // 2)
    start = near - near % _PER_LINE
    if start:
        yield AnnotatedLine(f"… {start:,} bytes before")
    end = min(len(value), start + _LONGEST_HEX)
    for first in range(start, end, _PER_LINE):
        part = value[first : first + _PER_LINE]
        printable = "".join(
            chr(byte) if _FIRST_PRINTABLE <= byte < _BEHIND_PRINTABLE else "." for byte in part
        )
        here = position is not None and first <= position < first + _PER_LINE
        notes = (f"byte {position}",) if here else ()
        yield AnnotatedLine(f"{first:06x}  {part.hex(' '):<47}  {printable}", notes)
    if end < len(value):
        yield AnnotatedLine(f"… and {len(value) - end:,} more bytes (--raw writes all)")
