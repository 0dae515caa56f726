"""Progress of long work: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from pipeline.cli.output import error_console, is_terminal, print_notice
from pipeline.progress import OnProgress
from pipeline.progress import Progress as Step

_TENTH: Final = 10


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[OnProgress]:
    """Show a bar for each part of the work on a terminal, or a line for each tenth elsewhere.

    On standard error, unless another console is given.
    """
    console = console or error_console()
    if not console.is_terminal:
        yield _ProgressLines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    # Standard output that goes to a file must not be moved to the terminal of the bar.
    with Progress(*columns, console=console, transient=True, redirect_stdout=is_terminal()) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            if step.what not in tasks:
                tasks[step.what] = bar.add_task(step.what)
            bar.update(tasks[step.what], completed=step.done, total=step.total)

        yield show


class _ProgressLines:
    """Prints a line for each tenth of each part of the work, on standard error."""

    def __init__(self) -> None:
        self._said = ("", 0)

    def __call__(self, step: Step) -> None:
        tenth = step.done * _TENTH // step.total if step.total else _TENTH
        if (step.what, tenth) != self._said:
            self._said = (step.what, tenth)
            print_notice(f"{step.what}: {tenth * _TENTH} % of {step.total:,} {step.unit}")
