"""Reads outputs of either core as facts that can be compared: values, not spellings.

Numbers are equal when sign, digits and exponent are, however large they are; -0 equals 0. Objects
are equal when their members are, in the same order; of a repeated name the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from tests.support import is_ours

Facts = dict[str, Any]
"""What is known of one output, by the name of the fact."""

_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_MOST_DIGITS: Final = 18
"""Most digits of an exponent that version 1 reads."""
_MOST_INTEGER_DIGITS: Final = 4_300
"""Most digits of an integer that version 1 reads."""
_CONTRACT: Final = "track.contract"
_REASONS: Final = "dlq.reasons"


class Number(tuple[Any, ...]):
    """Sign, digits and exponent of a number; those of zero have no sign."""

    __slots__ = ()


def is_unreadable(text: str) -> bool:
    """Whether version 1 rejects a record for this number."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return False
    _, whole, fraction, _, exponent = match.groups()
    if exponent is None and fraction is None:
        return len(whole) > _MOST_INTEGER_DIGITS
    return len((exponent or "").lstrip("0")) > _MOST_DIGITS


def number(text: str) -> Number | str:
    """The number as a value; a text when it is one that version 1 can't read."""
    match = _NUMBER.fullmatch(text)
    if match is None or is_unreadable(text):
        return f"number {text}"
    sign, whole, fraction, exponent_sign, exponent = match.groups()
    digits = (whole + (fraction or "")).lstrip("0")
    power = int((exponent_sign or "") + (exponent or "0")) - len(fraction or "")
    return Number((sign if digits else "", digits, power))


def read_value(value: bytes | str) -> Any:
    """JSON with numbers as values."""
    return json.loads(value, parse_int=number, parse_float=number, parse_constant=number)


def same(one: Any, other: Any) -> bool:
    """Whether two facts are equal, members in the same order."""
    pairs = [(one, other)]  # not recursive: values may be 512 levels deep
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if list(one) != list(other):
                return False
            pairs += ((one[name], other[name]) for name in one)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


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


def _revenue(revenue: tuple[str, Any]) -> tuple[str, Number | str]:
    return revenue[0], number(str(revenue[1]))
