"""A picture on the terminal that is drawn again in its place, and stays when the program ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pipeline.cli.output import is_terminal, output_console

Draw = Callable[[int, int], Sequence[Text]]
"""Makes the lines of a picture for a width and a height."""


class LiveLines:
    """The picture; a new size of the terminal is taken into account when it is drawn."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, draw: Draw) -> None:
        """Replace the picture."""
        self._live.update(_Picture(draw), refresh=True)


class _Picture:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """See rich. The last line of the terminal stays free for the cursor."""
        height = max(1, console.height - 1)
        lines = self._draw(options.max_width, height)[:height]
        yield Group(*lines)


def can_draw() -> bool:
    """Whether standard output is a terminal on which a picture can be drawn again in its place."""
    return is_terminal() and not output_console().is_dumb_terminal


@contextmanager
def live_lines() -> Iterator[LiveLines]:
    """Draw on standard output, which is a terminal."""
    with Live(console=output_console(), auto_refresh=False, vertical_overflow="crop") as live:
        yield LiveLines(live)
