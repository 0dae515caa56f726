"""A whole value as the rules read it, for tools that show, mask, compare or repair it."""

from __future__ import annotations

from typing import Final

from pipeline.core.decode import decode
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Invalid
from pipeline.core.surrogates import find_halves, replace_halves

DEEPEST: Final = 512
"""Depth up to which tools decode, whatever the limits of the contract are."""


def decoded_value(value: bytes | None) -> JsonValue | Invalid:
    """Decode a value, or say why it can't be read.

    Halves of surrogate pairs are replaced, as by default; a number that can't be read stays raw.
    """
    found = decode(value, DEEPEST)
    halves = find_halves(value) if value and type(found) is Invalid else []
    if not value or not halves:
        return found
    repaired = decode(replace_halves(value, halves), DEEPEST)
    return found if type(repaired) is Invalid else repaired
