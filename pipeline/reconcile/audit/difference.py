"""Says where an output differs from the expected one, without showing an event's content."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.core.dead_letter import read_headers
from pipeline.core.decoded_value import decoded_value
from pipeline.core.headers import DlqHeader
from pipeline.core.json_pointer import differences
from pipeline.core.reasons import Invalid
from pipeline.core.record import Output, Record, Role
from pipeline.reconcile.outputs import WHEN_AND_WHO

_SHOWN: Final = 3


def describe_difference(output: Output, found: Record) -> str:
    """Name what differs between the output that the rules give and the one that exists."""
    parts = []
    if output.value != found.value:
        parts.append(_value_difference(output.value, found.value))
    if output.key != found.key:
        parts.append("the key")
    if output.role is Role.DEAD_LETTER:
        parts += _differing_headers(read_headers(output.headers), read_headers(found.headers))
    if not parts:
        parts.append("the headers")
    return f"differs in {', '.join(parts)}"


def _value_difference(expected: bytes | None, found: bytes | None) -> str:
    one, other = decoded_value(expected), decoded_value(found)
    if type(one) is Invalid or type(other) is Invalid:
        return "the value"
    differing = islice(differences(one, other), _SHOWN + 1)
    pointers = [each.pointer or "/" for each in differing]
    if not pointers:
        return "the bytes of the value (it is the same JSON)"
    more = " and more" if len(pointers) > _SHOWN else ""
    return f"the value at {', '.join(pointers[:_SHOWN])}{more}"


def _differing_headers(expected: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name in sorted(expected.keys() | found.keys()):
        if name in WHEN_AND_WHO or expected.get(name) == found.get(name):
            continue
        if name == DlqHeader.REASON:
            yield f"{name} ({found.get(name)} instead of {expected.get(name)})"
        else:
            yield name
