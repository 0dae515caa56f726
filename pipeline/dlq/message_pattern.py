"""The pattern of a message: ids, numbers, times and quoted values become placeholders."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_KEPT: Final = 4096
_SUSPICIOUS: Final = re.compile(r"[0-9@\"'`]")
"""A text without any of these characters is its own pattern."""
_WORD: Final = r"[^\s\"'<>()\[\]{},;:@]"
_CLOCK: Final = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
# Possessive, and words only from their start: linear also in a long text without an end.
_VARIABLE: Final = re.compile(
    rf"""
      (?P<quoted> "[^"]{{0,200}}" | `[^`]{{0,200}}` | (?<!\w)'[^']{{0,200}}'(?!\w) )  # not can't
    | (?P<email>  (?<!{_WORD}) {_WORD}++ @ {_WORD}++ )
    | (?P<time>   \d{{4}}-\d\d-\d\d[T\ ]{_CLOCK} )
    | (?P<id>     (?<![\w-]) (?=[\w-]{{8}}) (?=[\d-]*[A-Za-z_])
                  (?=[A-Za-z_-]*\d[A-Za-z_-]*\d | \d+[A-Za-z_-]) [\w-]++ )
    | (?P<number> \d++(?:[.,:]\d++)* )
    """,
    re.VERBOSE | re.ASCII,
)
_STANDS_FOR: Final = {
    "quoted": '"…"',
    "email": "<email>",
    "time": "<time>",
    "id": "<id>",
    "number": "#",
}


@lru_cache(_KEPT)
def to_pattern(text: str) -> str:
    """Replace the variable parts of a text with `"…"`, `<email>`, `<time>`, `<id>` and `#`."""
    if _SUSPICIOUS.search(text) is None:
        return text
    return _VARIABLE.sub(_placeholder, text)


def _placeholder(match: re.Match[str]) -> str:
    return _STANDS_FOR[match.lastgroup or "number"]
