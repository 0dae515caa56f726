"""Values of options that a function of ours reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

_Value = TypeVar("_Value")


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
