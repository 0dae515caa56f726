"""Bounds of time on the command line."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.param_types import Parsed
from pipeline.core.time_window import read_moment
from pipeline.wiring import WallClock

_ASKED_AT: Final = f"{__name__}.asked_at"


def asked_at() -> int:
    """What `2h` is ago from, epoch milliseconds: the same for all options of a command."""
    now: int = click.get_current_context().meta.setdefault(_ASKED_AT, WallClock().now())
    return now


class Moment(Parsed[int | None]):
    """A bound of the window, in epoch milliseconds; the word says that there is none: None."""

    def __init__(self, unbounded: str) -> None:
        self._unbounded = unbounded
        super().__init__("time", self._moment)

    def _moment(self, text: str) -> int | None:
        if text == self._unbounded:
            return None
        try:
            return read_moment(text, asked_at())
        except ValueError as error:
            raise ValueError(f"{error}; {self._unbounded} is no bound") from error
