"""Reads the bytes of a record: is it one JSON document, and one object (contract §1)?

The decoder is strict and fast. Why a value was rejected is diagnosed afterwards, on the slow path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

import msgspec

from pipeline.core.json_value import JsonValue
from pipeline.core.lookalikes import looks_like
from pipeline.core.members import Members, read_any_value, read_members
from pipeline.core.reasons import Invalid, Reason, Stage, Violation
from pipeline.core.record import OversizedValue
from pipeline.core.surrogates import changed_strings, find_halves, replace_halves

JSON_WHITESPACE_AND_MORE = b" \t\r\n\v\f"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_T = TypeVar("_T")

_check: Final = msgspec.json.Decoder(msgspec.Raw).decode
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LEVELS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Maps each bracket to what it adds to the depth, as a signed byte."""
_POSITION = re.compile(r" \(byte (\d+)\)")


def decode(value: bytes | None, max_depth: int) -> JsonValue | Invalid:
    """Decode one JSON document as a whole, for tools, or say why it is rejected.

    Numbers keep every digit: integers as int, all others as Decimal; one that is too long, or whose
    exponent is too large, stays raw.
    """
    found = _read(value, max_depth, read_any_value)
    return found if type(found) is Invalid else too_deep(value or b"", max_depth) or found


def read_event(value: bytes | None, max_depth: int) -> Members | Invalid:
    """Read one JSON object as raw members, or say why it is rejected."""
    members = _read(value, max_depth, read_members)
    return members if type(members) is Invalid else too_deep(value or b"", max_depth) or members


def read_record(value: bytes | None, max_depth: int) -> Members | Invalid:
    """Read the object that a record is, like `read_event`.

    Only the depth of one with a member `batch` is left to the caller: a batch call is large, and
    each of its items is looked at anyway.
    """
    members = _read(value, max_depth, read_members)
    if type(members) is Invalid or "batch" in members:
        return members
    return too_deep(value or b"", max_depth) or members


def too_deep(value: bytes, max_depth: int) -> Invalid | None:
    """The rejection of valid JSON that has more levels than that; None when it has not."""
    # A level takes at least 2 bytes, so most records can't be too deep.
    if len(value) > 2 * max_depth and _may_be_deeper(value, max_depth):
        return reject_depth(max_depth)
    return None


def reject_depth(max_depth: int) -> Invalid:
    """Rejection of a value that has more levels than that."""
    return reject(Reason.TOO_DEEP, f"nested deeper than {max_depth} levels")


class RepairedEvent(NamedTuple):
    """An object in which halves of surrogate pairs were replaced."""

    text: bytes
    """The object after the replacement."""
    members: Members
    changed: list[str]
    """JSON Pointers of the strings that were changed."""


def read_repaired(value: bytes, max_depth: int, invalid: Invalid) -> RepairedEvent | Invalid:
    """Read an object that is rejected as it is, with its halves of surrogate pairs replaced.

    An object without any keeps its rejection, which is `invalid`.
    """
    halves = find_halves(value)
    if not halves:
        return invalid
    text = replace_halves(value, halves)
    members = read_event(text, max_depth)
    if type(members) is Invalid:
        return members
    return RepairedEvent(text, members, changed_strings(text, halves))


def _read(value: bytes | None, max_depth: int, read: Callable[[bytes], _T]) -> _T | Invalid:
    if not value:
        return _no_value(value)
    try:
        value.decode()  # the decoder does not check the text of what it skips
        return read(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if value.startswith(BYTE_ORDER_MARK) and not value.startswith(2 * BYTE_ORDER_MARK):
            rest = value.removeprefix(BYTE_ORDER_MARK)
            if rest.strip(JSON_WHITESPACE_AND_MORE):
                found = _read(rest, max_depth, read)
                return _shifted(found, len(BYTE_ORDER_MARK)) if type(found) is Invalid else found
        return _diagnose(value, max_depth, error)


def reject(code: Reason, detail: str, stage: Stage = Stage.DECODE) -> Invalid:
    """Rejection with one violation of the record as a whole."""
    return Invalid(stage, [Violation(code, "", detail)])


def _no_value(value: bytes | None) -> Invalid:
    if value is None:
        return reject(Reason.NULL_VALUE, "the record has no value (a tombstone)")
    if isinstance(value, OversizedValue):
        detail = f"{value.size} bytes; a line of a file may have {value.limit}"
        return reject(Reason.RECORD_TOO_LARGE, detail)
    return reject(Reason.EMPTY_VALUE, "the value has no bytes")


def _may_be_deeper(value: bytes, limit: int) -> bool:
    # An array takes at least 2 bytes and an object with a member 5, and "[" is rare.
    return len(value) // 5 + value.count(b"[") > limit and _deeper_than(value, limit)


def _deeper_than(value: bytes, limit: int) -> bool:
    if value.count(b"{") + value.count(b"[") <= limit:
        return False
    # No Python statement runs per bracket: a record may consist of nothing else.
    brackets = _STRING.sub(b"", value).translate(_LEVELS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > limit


def _diagnose(value: bytes, max_depth: int, error: Exception) -> Invalid:
    if not value.removeprefix(BYTE_ORDER_MARK).strip(JSON_WHITESPACE_AND_MORE):
        return reject(Reason.EMPTY_VALUE, "the value is only white space")
    try:
        value.decode()
    except UnicodeDecodeError as utf8:
        detail = f"not UTF-8 text: {utf8.reason} (byte {utf8.start}){looks_like(value)}"
        return reject(Reason.INVALID_UTF8, detail)
    if value.count(0) * 2 == len(value) or value.count(0) * 4 == len(value) * 3:
        # ASCII in UTF-16 or UTF-32 reads as UTF-8 with NULs in between, which JSON never has.
        detail = f"not UTF-8 text: it has NULs between its characters{looks_like(value)}"
        return reject(Reason.INVALID_UTF8, detail)
    if isinstance(error, RecursionError) or _deeper_than(value, max_depth):
        return reject_depth(max_depth)
    if isinstance(error, msgspec.ValidationError):
        return _wrong_type(value)
    return _not_json(value, error)


def _wrong_type(value: bytes) -> Invalid:
    """Rejection of a document that is no object; the decoder stops before it has read all of it."""
    malformed = _fault(value)
    if malformed is not None:
        return _not_json(value, malformed)
    if not value.lstrip().startswith(b"{"):
        detail = f"the JSON value is not an object{looks_like(value)}"
        return reject(Reason.NOT_AN_OBJECT, detail)
    return reject(Reason.INVALID_JSON, "an integer has too many digits to be read")


def _fault(value: bytes) -> msgspec.DecodeError | None:
    """What is wrong with a JSON document; None when it is well-formed."""
    try:
        _check(value)
    except msgspec.DecodeError as malformed:
        return malformed
    return None


def _not_json(value: bytes, error: Exception) -> Invalid:
    halves = find_halves(value)
    if halves and _fault(replace_halves(value, halves)) is None:
        return reject(Reason.INVALID_UTF8, "a \\u escape is half of a surrogate pair")
    fault = str(error).removeprefix("JSON is malformed: ")
    return reject(Reason.INVALID_JSON, f"not JSON: {fault}{looks_like(value)}")


def _shifted(invalid: Invalid, by: int) -> Invalid:
    """The same rejection with byte positions counted from the first byte of the record."""

    def moved(match: re.Match[str]) -> str:
        return f" (byte {int(match[1]) + by})"

    violations = [v._replace(detail=_POSITION.sub(moved, v.detail)) for v in invalid.violations]
    return invalid._replace(violations=violations)
