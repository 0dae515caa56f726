"""Encodes what a user's code returned as JSON, as strictly as events of senders are read.

The encoder alone is lenient: it writes NaN as null, numeric keys as text, bytes as base64, and
dates as text. None of that is intended, and nobody would notice.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any, Final

from msgspec import Raw

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid

_SHOWN: Final = 60


class NotJsonError(ValueError):
    """A value that has no JSON form which the rules can read; the text says where and why."""

    def __init__(self, pointer: str, what: str) -> None:
        super().__init__(f"{pointer or 'the event'} {what}")


def json_of(value: object, max_depth: int) -> bytes:
    """Encode dicts with text keys, lists, tuples, text, numbers, bools and None as compact JSON.

    Numbers keep their digits. Raises NotJsonError for anything else: for NaN, infinity, half of
    a surrogate pair, and what is nested deeper than `max_depth` or contains itself.
    """
    return encode_json(_plain(value, "", max_depth))


def _plain(value: object, pointer: str, depth: int) -> JsonValue:
    """Rebuild a value from Python's own types only."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, pointer)
    if isinstance(value, int | float | Decimal):
        return _number(value, pointer)
    if isinstance(value, Raw):
        return _raw(value, pointer, depth)
    if not isinstance(value, dict | list | tuple):
        raise NotJsonError(pointer, f"is {_kind(value)}, which JSON does not have")
    if not depth:
        raise NotJsonError(f"{pointer[:_SHOWN]}…", "is nested too deep, or contains itself")
    # No comprehensions: before Python 3.12 each is a level of recursion more.
    if not isinstance(value, dict):
        items = []
        for number, each in enumerate(value):
            items.append(_plain(each, f"{pointer}/{number}", depth - 1))
        return items
    members = {}
    for name, each in value.items():
        key = _key(name, pointer)
        members[key] = _plain(each, f"{pointer}/{_token(key)}", depth - 1)
    return members


def _kind(value: object) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"of type {module}{kind.__qualname__}"


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _key(key: object, pointer: str) -> str:
    if not isinstance(key, str):
        raise NotJsonError(pointer, f"has the key {str(key)[:_SHOWN]}, {_kind(key)}: keys are text")
    return _text(key, pointer)


def _text(text: str, pointer: str) -> str:
    plain = str.__str__(text)  # of a subclass, such as an enum's, the text itself
    try:
        plain.encode()
    except UnicodeEncodeError:
        shown = ascii(plain[:_SHOWN])
        raise NotJsonError(pointer, f"holds half of a surrogate pair: {shown}") from None
    return plain


def _raw(value: Raw, pointer: str, depth: int) -> Raw:
    """A number that Python can't hold, as it was sent."""
    read = decode(bytes(value), depth)
    if type(read) is Invalid:
        raise NotJsonError(pointer, f"is raw, but not JSON: {read.violations[0].detail}")
    return value


def _number(sent: Any, pointer: str) -> int | float | Decimal:  # noqa: ANN401  mypy takes a float for an int
    """Convert a number to a type of Python's own; a subclass may be written differently."""
    if isinstance(sent, float):
        if not isfinite(sent):
            raise NotJsonError(pointer, f"is {float(sent)}, which JSON does not have")
        return float(sent)
    number = sent if isinstance(sent, Decimal) else int(sent)
    try:
        written = encode_json(number)
    except ValueError:
        raise NotJsonError(pointer, "is an integer with too many digits to be read") from None
    read = decode(written, 1)
    if type(read) is Invalid:
        shown = written[:_SHOWN].decode()
        raise NotJsonError(pointer, f"is {shown}: {read.violations[0].detail}")
    return number
