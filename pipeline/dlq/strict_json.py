"""What code of a user's has made → JSON, as strictly as what a sender sends is read.

The encoder alone is lenient: it writes a NaN as null, keys that are numbers as text, bytes as
base64, and dates as text. None of that is what was meant, and nobody would notice.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any, Final

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid

_SHOWN: Final = 60


class NoJsonError(ValueError):
    """A value has no JSON form that the rules read back; the text says where, and why."""

    def __init__(self, pointer: str, what: str) -> None:
        super().__init__(f"{pointer or 'the event'} {what}")


def json_of(value: object, max_depth: int) -> bytes:
    """Compact UTF-8 JSON of dicts with text keys, lists, tuples, text, numbers, bools and None.

    Numbers keep their digits. Raises NoJsonError for anything else: also for NaN, infinity, half of
    a surrogate pair, and what is nested deeper than `max_depth` or contains itself.
    """
    return encode_json(_plain(value, "", max_depth))


def _plain(value: object, pointer: str, depth: int) -> JsonValue:
    """The same value, made of nothing but Python's own types."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, pointer)
    if isinstance(value, int | float | Decimal):
        return _number(value, pointer)
    if not isinstance(value, dict | list | tuple):
        raise NoJsonError(pointer, f"is {_kind(value)}, which JSON does not have")
    if not depth:
        raise NoJsonError(f"{pointer[:_SHOWN]}…", "is nested too deep, or contains itself")
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
        raise NoJsonError(pointer, f"has the key {str(key)[:_SHOWN]}, {_kind(key)}: keys are text")
    return _text(key, pointer)


def _text(text: str, pointer: str) -> str:
    plain = str.__str__(text)  # of a subclass, such as an enum's, the text itself
    try:
        plain.encode()
    except UnicodeEncodeError:
        shown = ascii(plain[:_SHOWN])
        raise NoJsonError(pointer, f"holds half of a surrogate pair: {shown}") from None
    return plain


def _number(sent: Any, pointer: str) -> int | float | Decimal:  # noqa: ANN401  mypy takes a float for an int
    """The number, of one of Python's own types: what a subclass is written as is its own affair."""
    if isinstance(sent, float):
        if not isfinite(sent):
            raise NoJsonError(pointer, f"is {float(sent)}, which JSON does not have")
        return float(sent)
    number = sent if isinstance(sent, Decimal) else int(sent)
    try:
        written = encode_json(number)
    except ValueError:
        raise NoJsonError(pointer, "is an integer with too many digits to be read") from None
    read = decode(written, 1)
    if type(read) is Invalid:
        shown = written[:_SHOWN].decode()
        raise NoJsonError(pointer, f"is {shown}: {read.violations[0].detail}")
    return number
