"""What holds for every enriched event, byte by byte: one line, no name twice, parts as sent."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections import Counter
from typing import Any, Final

import msgspec

from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.record import Output, Record, Role
from tests.support import read

RESERVED: Final = frozenset({"revenue", "value", "currency"})
_BETWEEN_TOKENS: Final = b"\t\n\r"
"""White space that is removed: within a text, JSON has it as an escape only."""
_OURS: Final = frozenset(OUR_FIELDS)
_EMPTY: Final = (b"null", b"[]", None)
_REPLACED: Final = ("lone_surrogate_replaced", "empty_array_for_object")
"""Warnings of events whose parts are not carried as they are."""


_DECODE: Final = msgspec.json.Decoder(float_hook=float).decode
_TOO_MANY_DIGITS: Final = re.compile(rb"[0-9]{4301}")


class Pairs(list[tuple[str, Any]]):
    """Members of an object, repeated names included."""


def members(value: bytes | str | None) -> Pairs:
    """Members of a JSON object and of all objects in it."""
    assert value is not None
    pairs: Pairs = json.loads(value, object_pairs_hook=Pairs, parse_int=str, parse_float=str)
    assert type(pairs) is Pairs
    return pairs


def check_written(output: Output) -> None:
    """Check the bytes of an enriched event or an identify message."""
    value = output.value
    assert value is not None
    assert not any(byte in value for byte in _BETWEEN_TOKENS), "more than one line"
    _check_readers(value)
    top = members(value)
    _check_once(top, _OURS)
    for name, inner in top:
        if name == "properties":
            assert type(inner) is Pairs
            _check_once(inner, RESERVED)


def _check_once(pairs: Pairs, names: frozenset[str]) -> None:
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    assert names.isdisjoint(repeated), f"occurs twice: {repeated}"


def _check_readers(value: bytes) -> None:
    """Common readers accept the bytes, and read the same values."""
    by_json = json.loads(
        value.decode(), parse_int=float, parse_float=float, parse_constant=_no_constant
    )
    try:
        by_msgspec = _DECODE(value)
    except msgspec.ValidationError:
        assert _TOO_MANY_DIGITS.search(value)
        return
    assert _agree(by_json, by_msgspec)
    if importlib.util.find_spec("orjson") is not None:
        assert _agree(by_json, importlib.import_module("orjson").loads(value))


def _no_constant(text: str) -> float:
    raise AssertionError(f"{text} is not JSON")


def _agree(one: Any, other: Any) -> bool:
    """Whether two readers have read the same, numbers as doubles."""
    pairs = [(one, other)]  # not recursive: values may be 512 levels deep
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if list(one) != list(other):
                return False
            pairs += ((one[name], other[name]) for name in one)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, float):
            if type(other) not in (int, float) or one != _double(other):
                return False
        elif type(one) is not type(other) or one != other:
            return False
    return True


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if number > 0 else -math.inf


def check_carried(record: Record, output: Output) -> None:
    """Check that what no rule changes has the bytes that it came in.

    For an event that is a record of its own, with settings that keep nothing out and no warning
    that says that a part was changed.
    """
    sent, written = _raws(record.value), _raws(output.value)
    for name, raw in sent.items():
        if name not in _OURS and not name.lower().replace("_", "").startswith("writekey"):
            assert written[name] == raw, name
    for name in ("context", "integrations"):
        if sent.get(name, b"null") not in _EMPTY and b"writeKey" not in sent[name]:
            assert written[name] == sent[name], name
    traits = _raws(sent.get("context", b"null")).get("traits", b"null")
    if traits[:1] == b"{" and sent.get("traits", b"null") == b"null":
        assert written.get("traits", traits) == traits
    properties = _raws(sent.get("properties", b"null"))
    if (
        not {name.lower() for name in properties} & RESERVED
        and sent.get("properties") not in _EMPTY
    ):
        _check_properties(sent, written)


def _check_properties(sent: dict[str, bytes], written: dict[str, bytes]) -> None:
    if "currency" not in _raws(written["properties"]):
        assert written["properties"] == sent.get("properties", b"{}")


def is_carried(record: Record, output: Output) -> bool:
    """Whether an output must hold the parts of its record that no rule changes byte for byte."""
    if output.role is not Role.ENRICHED:
        return False
    warnings = read(output.value)["enrichment"].get("warnings", [])
    is_changed = any(warning.partition(" ")[0] in _REPLACED for warning in warnings)
    try:
        return not is_changed and "batch" not in _raws(record.value)
    except msgspec.DecodeError:  # a batch that only its items can be read of
        return False


def _raws(value: bytes | None) -> dict[str, bytes]:
    """Members of an object as one line each, the last one of a repeated name; none of another."""
    if value is None or value[:1] in b"n[":
        return {}
    raws = msgspec.json.decode(value.removeprefix(b"\xef\xbb\xbf"), type=dict[str, msgspec.Raw])
    return {name: bytes(raw).translate(None, _BETWEEN_TOKENS) for name, raw in raws.items()}
