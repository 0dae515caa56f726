"""What the headers of a dead letter say, read: by the dlq tools and by consumers."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

_MAX_DIGITS: Final = 19
"""Number of digits of the largest 64-bit integer."""


class Problem(NamedTuple):
    """One reason for the rejection, as the dead letter states it."""

    code: str
    pointer: str
    """JSON Pointer into the event; empty for the event as a whole."""
    detail: str


def read_problems(reasons: bytes | None, reason: str) -> list[Problem]:
    """All reasons of the header `dlq.reasons`; only the first one's code when it can't be read."""
    try:
        listed = msgspec.json.decode(reasons or b"[]")
        found = [Problem(str(p["code"]), str(p["pointer"]), str(p["detail"])) for p in listed]
    except (ValueError, TypeError, KeyError, RecursionError):
        found = []
    return found or [Problem(reason, "", "")]


def read_number(text: str) -> int | None:
    """Read a decimal number of at most 19 digits; None for any other text."""
    return int(text) if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else None
