"""The one place that prints: lines, JSON documents, tables.

Whoever reads standard output decides the form. A terminal gets tables for people, no wider than it
is; a pipe or a file gets a line for each row, cells separated by tabs below a line of names, values
exact, and no limit of width.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from pipeline.cli.tables import Cell, Column, TerminalTable, piped_lines
from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped, long_json, one_line

_UNLIMITED: Final = 10_000


def output_console() -> Console:
    """Make a console for standard output, as wide as the terminal; unlimited when piped."""
    return _console(seen=is_terminal(), stderr=False)


def error_console() -> Console:
    """Make a console for standard error, as wide as the terminal; unlimited when piped."""
    return _console(seen=sys.stderr.isatty(), stderr=True)


def _console(*, seen: bool, stderr: bool) -> Console:
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        soft_wrap=not seen,
        width=None if seen else _UNLIMITED,
    )


def is_terminal() -> bool:
    """Whether standard output is a terminal, whatever variables such as FORCE_COLOR say."""
    return sys.stdout.isatty()


def print_line(text: str | Text = "", style: str = "") -> None:
    """Print a line on standard output; long lines are left for the terminal to wrap."""
    _print_line(output_console(), text, style)


def print_heading(text: str) -> None:
    """Print the heading of the next part of a report on standard output."""
    print_line()
    print_line(text, "bold")


def print_notice(text: str | Text, style: str = "") -> None:
    """Print a line on standard error: what was done or left out, or what to do next."""
    _print_line(error_console(), text, style)


def print_warning(text: str) -> None:
    """Print a warning on standard error."""
    print_notice(f"warning: {text}", "yellow")


def _print_line(console: Console, text: str | Text, style: str) -> None:
    line = Text(escaped(text), style) if isinstance(text, str) else text
    console.print(line, soft_wrap=True)


def print_indented(text: str, style: str = "", *, columns: int = 4) -> None:
    """Print indented text on standard output, folded to the width of a terminal."""
    console = output_console()
    width = max(1, console.width - columns)
    for line in Text(escaped(text), style).wrap(console, width):
        line.rstrip()
        line.pad_left(columns)
        console.print(line, soft_wrap=True)


def print_json(document: Any, *, indented: bool = False, err: bool = False) -> None:  # noqa: ANN401  any JSON value
    """Print a JSON document whose numbers have all their digits, in one line unless indented.

    Several of them are newline-delimited JSON.
    """
    try:
        value = encode_json(document)
    except UnicodeEncodeError:  # a file's name may hold other bytes than UTF-8
        value = encode_json(_encodable(document))
    click.echo(long_json(value) if indented else escaped(value.decode()), err=err)


def _encodable(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, (list, tuple)) else value


def print_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    *,
    err: bool = False,
    aligned: bool = False,
) -> list[str]:
    """Print a table on standard output; rows may be a stream that is too long to be kept.

    Returns the names of the columns that a terminal was too narrow for.

    Without rows a terminal gets nothing, and a pipe gets the line of names. A table that is part of
    a text for people, or goes to standard error, is `aligned` in a pipe too, where it has no limit
    of width.
    """
    if not (err or aligned or is_terminal()):
        for line in piped_lines(columns, rows):
            click.echo(line)
        return []
    console = error_console() if err else output_console()
    table = TerminalTable(columns, console.width)
    for row in table.lines(rows):
        console.print(row, soft_wrap=True)
    if table.left_out:
        word, them = ("column", "it") if len(table.left_out) == 1 else ("columns", "them")
        remedy = f"a wider terminal shows {them}" + (", and --json" if _has_json() else "")
        names = one_line(", ".join(table.left_out))
        console.print(Text(f"{word} left out: {names} ({remedy})", "dim"))
    return table.left_out


def _has_json() -> bool:
    """Whether the command that runs has an option --json."""
    context = click.get_current_context(silent=True)
    return context is not None and any("--json" in each.opts for each in context.command.params)
