"""Reads outputs of either core as facts that can be compared: values, not spellings.

Numbers are equal when sign, digits and exponent are, however large they are; -0 equals 0. Objects
are equal when their members are, in the same order; of a repeated name the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal, DecimalException
from typing import Any, Final

from tests.support import is_ours

Facts = dict[str, Any]
"""What is known of one output, by the name of the fact."""

_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_MOST_DIGITS: Final = 4_300
"""Most digits of an integer that version 1 reads."""
_CONTRACT: Final = "track.contract"
_REASONS: Final = "dlq.reasons"


class Number(tuple[Any, ...]):
    """Sign, digits and exponent of a number; those of zero have no sign."""

    __slots__ = ()


UNREADABLE: Final = "1e999999999"
"""Stands for each number that version 1 can't read."""


def is_unreadable(text: str) -> bool:
    """Whether version 1 rejects a record for this number."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return False
    if match[3] is None and match[5] is None:
        return len(match[2]) > _MOST_DIGITS
    try:
        Decimal(text)
    except DecimalException:
        return True
    return False


def number(text: str) -> Number:
    """The number as a value; all that version 1 can't read are the same one."""
    match = _NUMBER.fullmatch(UNREADABLE if is_unreadable(text) else text)
    assert match is not None
    sign, whole, fraction, exponent_sign, exponent = match.groups()
    digits = (whole + (fraction or "")).lstrip("0")
    power = int((exponent_sign or "") + (exponent or "0")) - len(fraction or "")
    return Number((sign if digits else "", digits, power))


def read_value(value: bytes | str) -> Any:
    """JSON with numbers as values."""
    return json.loads(value, parse_int=number, parse_float=number, parse_constant=str)


def difference(one: Any, other: Any) -> str | None:
    """The path at which two facts differ, with both values there; None when they are equal.

    Members must have the same order.
    """
    pairs = [("", one, other)]  # not recursive: values may be 512 levels deep
    while pairs:
        path, one, other = pairs.pop()
        if type(one) is not type(other):
            return f"{path}: {_short(one)} was, {_short(other)} is"
        if isinstance(one, dict):
            if list(one) != list(other):
                return f"{path}: members {_short(list(one))} were, {_short(list(other))} are"
            pairs += ((f"{path}/{name}", one[name], other[name]) for name in one)
        elif isinstance(one, list) and len(one) == len(other):
            pairs += ((f"{path}/#", *pair) for pair in zip(one, other, strict=True))
        elif one != other:
            return f"{path}: {_short(one)} was, {_short(other)} is"
    return None


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "(deep)"
    return text if len(text) < 500 else f"{text[:300]} … {text[-200:]}"


def facts_of(outputs: Iterable[Any]) -> list[Facts]:
    """The facts of outputs, in order. Details and the contract's hash are none."""
    return [_facts(output) for output in outputs]


def _facts(output: Any) -> Facts:
    headers = [(name, text) for name, text in output.headers if name not in {_CONTRACT, _REASONS}]
    facts: Facts = {
        "role": output.role.value,
        "reason": output.reason,
        "key": output.key,
        "partition": output.partition,
        "timestamp": output.timestamp,
        "headers": [header for header in headers if not is_ours(header[0])],
        "our headers": dict(header for header in headers if is_ours(header[0])),
        "revenue": None if output.revenue is None else _revenue(output.revenue),
    }
    if output.role.value == "dead_letter":
        facts["bytes"] = output.value
        reasons = json.loads(dict(output.headers)[_REASONS] or b"")
        facts["violations"] = [f"{r['code']} {r['pointer']}".strip() for r in reasons]
    elif output.value is not None:
        facts["event"] = read_value(output.value)
        enrichment = facts["event"].pop("enrichment", {})
        facts["warnings"] = enrichment.pop("warnings", [])
        facts["enrichment"] = enrichment
    return facts


def size_of(output: Any) -> int:
    """Bytes of an output with its key and headers."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in output.headers)
    return len(output.value or b"") + len(output.key or b"") + headers


def _revenue(revenue: tuple[str, Any]) -> tuple[str, Number]:
    return revenue[0], number(str(revenue[1]))
