"""Bounds of time on the command line."""

from __future__ import annotations

import click

from pipeline.window import read_moment
from pipeline.wiring import WallClock


class Moment(click.ParamType[int | None]):
    """A bound of the window; the word says that there is none."""

    name = "time"

    def __init__(self, unbounded: str) -> None:
        self._unbounded = unbounded

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Epoch milliseconds; None for the word."""
        if value == self._unbounded:
            return None
        try:
            return read_moment(value, WallClock().now())
        except ValueError as error:
            self.fail(f"{error}; {self._unbounded} is no bound", param, ctx)
