"""Values and text of events, made safe to show on terminals and in logs.

An event may hold control characters that steer a terminal, marks that reverse the direction of
text, or line breaks that forge a log line. Each is shown as its JSON escape, so that JSON remains
the same JSON.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue

_FIRST_OF_PAIRS: Final = 0x10000


def escaped(text: str) -> str:
    r"""The text with each unprintable character except line feeds written as `\uXXXX`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else _escape(character)
        for character in text
    )


def one_line(text: str) -> str:
    r"""The text with each unprintable character, line feeds too, written as an escape."""
    return escaped(text).replace("\n", "\\n")


def _escape(character: str) -> str:
    number = ord(character)
    if number < _FIRST_OF_PAIRS:
        return f"\\u{number:04x}"
    high, low = divmod(number - _FIRST_OF_PAIRS, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def short_json(value: JsonValue, longest: int) -> str:
    """The value as escaped JSON on one line, truncated to `longest` characters."""
    text = escaped(encode_json(value).decode())
    return text if len(text) <= longest else f"{text[:longest]}…"


def long_json(value: bytes) -> str:
    """A JSON document as escaped and indented text."""
    return escaped(msgspec.json.format(value, indent=2).decode())
