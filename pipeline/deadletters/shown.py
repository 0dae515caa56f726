"""Letters as values for people and documents: masked unless it is to be revealed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from pipeline.core.readable import long_json, one_line
from pipeline.core.reasons import Invalid
from pipeline.core.timestamps import format_time
from pipeline.deadletters.letter import DeadLetter
from pipeline.deadletters.masking import mask, masked_value

_HEX_SHOWN: Final = 1024
_PER_LINE: Final = 16
_FIRST_PRINTABLE, _BEHIND_PRINTABLE = 0x20, 0x7F


def moment(time: int | None) -> str:
    """ISO-8601, or nothing."""
    return format_time(time) if time else ""


def plain(letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """One letter as JSON values; `value` is what was refused, `encoding` how it is written."""
    text = _text_filter(reveal)
    value = letter.value if reveal else masked_value(letter.value)
    encoding, written = _written(value)
    return {
        "place": letter.place,
        "dialect": letter.dialect,
        "reason": text(letter.reason),
        "reasons": [
            {name: text(value) for name, value in problem._asdict().items()}
            for problem in letter.problems
        ],
        "stage": letter.stage,
        "source": letter.source.text() if letter.source else None,
        "source_timestamp": moment(letter.source_timestamp) or None,
        "failed_at": moment(letter.failed_at) or None,
        "attempt": letter.attempt,
        "event": text(letter.event),
        "message_id": text(letter.message_id),
        "library": letter.library,
        "masked": not reveal,
        "encoding": encoding,
        "value": written,
    }


def _text_filter(reveal: bool) -> Callable[[str], str]:  # noqa: FBT001  one of two
    return (lambda text: text) if reveal else mask


def _written(value: bytes | None) -> tuple[str, str | None]:
    if value is None:
        return "utf-8", None
    try:
        return "utf-8", value.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(value).decode()


def readable_value(letter: DeadLetter, *, reveal: bool) -> str:
    """The value for a terminal: indented JSON, text, or bytes in hexadecimal."""
    value = letter.value
    if value is None:
        return "(no value)"
    if not value:
        return "(no bytes)"
    if type(letter.decoded) is not Invalid:
        return long_json(value if reveal else masked_value(value) or b"")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return (
            _hex(value) if reveal else f"{len(value)} bytes that are no text (--reveal shows them)"
        )
    return one_line(text if reveal else mask(text))


def _hex(value: bytes) -> str:
    """Offsets, bytes and characters, as hexdump does it."""
    lines = []
    for start in range(0, min(len(value), _HEX_SHOWN), _PER_LINE):
        part = value[start : start + _PER_LINE]
        letters = "".join(
            chr(byte) if _FIRST_PRINTABLE <= byte < _BEHIND_PRINTABLE else "." for byte in part
        )
        lines.append(f"{start:06x}  {part.hex(' '):<47}  {letters}")
    left = len(value) - _HEX_SHOWN
    return "\n".join([*lines, f"… and {left} bytes more"] if left > 0 else lines)
