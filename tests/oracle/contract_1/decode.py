"""Decodes bytes into exact JSON values (contract §1), and splits batch envelopes (§2).

Numbers keep every digit: integers of usual length as int, all others as Decimal. The decoder is
strict and fast. Why a value was rejected is diagnosed afterwards, on the slow path.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, DecimalException
from itertools import accumulate
from typing import NamedTuple

import msgspec

from tests.oracle.contract_1.json_value import JsonValue
from tests.oracle.contract_1.reasons import Invalid, Reason, Stage, Violation
from tests.oracle.contract_1.record import OversizedValue

JSON_WHITESPACE_AND_MORE = b" \t\r\n\v\f"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LEVELS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Maps each bracket to what it adds to the depth, as a signed byte."""
_POSITION = re.compile(r" \(byte (\d+)\)$")


def decode(value: bytes | None, max_depth: int) -> JsonValue | Invalid:
    """Decode one JSON document into any JSON value, or say why it is rejected."""
    if not value:
        return _no_value(value)
    # An array takes at least 2 bytes and an object with a member 5, so few records can be too deep.
    # "[" is rare and quickly counted; "{" is neither. For what is not JSON, see _diagnose.
    if len(value) // 5 + value.count(b"[") > max_depth and _deeper_than(value, max_depth):
        return reject(Reason.TOO_DEEP, f"nested deeper than {max_depth} levels")
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, DecimalException) as error:
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


def _deeper_than(value: bytes, limit: int) -> bool:
    if value.count(b"{") + value.count(b"[") <= limit:
        return False
    # No Python statement runs per bracket: a record may consist of nothing else.
    brackets = _STRING.sub(b"", value).translate(_LEVELS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > limit


def _diagnose(  # noqa: PLR0911  one for each fault
    value: bytes, max_depth: int, error: Exception
) -> JsonValue | Invalid:
    if not value.strip(JSON_WHITESPACE_AND_MORE):
        return reject(Reason.EMPTY_VALUE, "the value is only white space")
    if value.startswith(BYTE_ORDER_MARK) and not value.startswith(2 * BYTE_ORDER_MARK):
        rest = decode(value[len(BYTE_ORDER_MARK) :], max_depth)
        return _shifted(rest, len(BYTE_ORDER_MARK)) if type(rest) is Invalid else rest
    try:
        text = value.decode()
    except UnicodeDecodeError as utf8:
        return reject(Reason.INVALID_UTF8, f"not UTF-8 text: {utf8.reason} (byte {utf8.start})")
    if value.count(0) * 2 == len(value) or value.count(0) * 4 == len(value) * 3:
        # ASCII in UTF-16 or UTF-32 reads as UTF-8 with NULs in between, which JSON never has.
        return reject(Reason.INVALID_UTF8, "not UTF-8 text: it looks like UTF-16 or UTF-32")
    if isinstance(error, RecursionError) or _deeper_than(value, max_depth):
        # Brackets that are never closed need fewer bytes than decode() assumes.
        return reject(Reason.TOO_DEEP, f"nested deeper than {max_depth} levels")
    if isinstance(error, DecimalException):
        return reject(Reason.INVALID_JSON, "a number has an exponent too large to be read")
    if isinstance(error, msgspec.ValidationError):
        return reject(Reason.INVALID_JSON, "an integer has too many digits to be read")
    if _escapes_lone_surrogate(text):
        return reject(Reason.INVALID_UTF8, "a \\u escape is half of a surrogate pair")
    return reject(
        Reason.INVALID_JSON, "not JSON: " + str(error).removeprefix("JSON is malformed: ")
    )


def _escapes_lone_surrogate(text: str) -> bool:
    r"""Whether the only fault of the text is an unpaired escape such as \ud800.

    Objects are read as pairs: the escape may be in a value that a repeated key overrides.
    """
    try:
        json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _shifted(invalid: Invalid, by: int) -> Invalid:
    """The same rejection with byte positions counted from the first byte of the record."""

    def moved(match: re.Match[str]) -> str:
        return f" (byte {int(match[1]) + by})"

    violations = [v._replace(detail=_POSITION.sub(moved, v.detail)) for v in invalid.violations]
    return invalid._replace(violations=violations)


class _Key:
    """Object key that equals only itself, so that a dict keeps repeated keys."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _to_key(_type: type, text: str) -> _Key:
    return _Key(text)


_decode_pairs = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_to_key).decode


class Envelope(NamedTuple):
    """Body of a batch call, its parts as raw bytes."""

    items: list[bytes]
    before: bytes
    after: bytes
    """Other fields of the envelope: before + item + after is the envelope of a single item."""

    def around(self, item: bytes) -> bytes:
        """The envelope with this item only; every value in it has its raw bytes."""
        return self.before + item + self.after


def split(value: bytes, batch: JsonValue) -> Envelope | Invalid:
    """Split an envelope that has been decoded; `batch` is the decoded value of that key."""
    pairs = _decode_pairs(value.removeprefix(BYTE_ORDER_MARK))
    raws = [bytes(raw) for key, raw in pairs.items() if key.text == "batch"]
    if len(raws) > 1:
        return reject(Reason.BATCH_DUPLICATED, "the key batch occurs more than once", Stage.SPLIT)
    if type(batch) is not list:
        return reject(Reason.BATCH_NOT_ARRAY, "batch is not an array", Stage.SPLIT)
    if not batch:
        return reject(Reason.EMPTY_BATCH, "the batch has no items", Stage.SPLIT)
    fields = [
        (msgspec.json.encode(key.text) + b":", b"[" if key.text == "batch" else bytes(raw))
        for key, raw in pairs.items()
    ]
    cut = next(i for i, (_, raw) in enumerate(fields) if raw == b"[") + 1
    before = b"{" + b",".join(name + raw for name, raw in fields[:cut])
    after = b"".join([b"]", *(b"," + name + raw for name, raw in fields[cut:]), b"}"])
    return Envelope([bytes(raw) for raw in _decode_items(raws[0])], before, after)


def duplicates_batch(value: bytes) -> bool:
    """Whether the top-level object has the key `batch` more than once."""
    pairs = _decode_pairs(value.removeprefix(BYTE_ORDER_MARK))
    return sum(key.text == "batch" for key in pairs) > 1
