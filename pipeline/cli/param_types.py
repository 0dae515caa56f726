"""Values of options: numbers, and what a function of ours reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeVar

import click

_Value = TypeVar("_Value")


class Number(click.FloatRange):
    """A number within bounds; `nan` and `inf`, which are within any, are none."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See click."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


RATE: Final = Number(0.001)
"""So many a second, at most."""
SHARE: Final = Number(0, 1)


def utf8_text(text: str) -> str:
    """Text that can be written down; ValueError for an argument that is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is no UTF-8 text") from None
    return text


class Parsed(click.ParamType[_Value]):
    """What `read` makes of the text; its ValueError is what the user is told."""

    def __init__(self, name: str, read: Callable[[str], _Value]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Value:
        """See click."""
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
