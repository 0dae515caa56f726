"""`track-pipeline dlq list`: letters, one line each."""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.core.escape import escaped, one_line
from pipeline.core.masking import mask
from pipeline.dlq.as_json import moment, plain
from pipeline.dlq.dead_letter import DeadLetter

_WHOLE: Final = frozenset({"letter", "failed at", "reason", "source"})
"""Columns that are not cut."""
_WIDE: Final = 120
_GAP: Final = "  "
_AT_ONCE: Final = 500
_COLUMNS: Final = ("letter", "failed at", "reason", "event", "source", "detail")


@click.command("list")
@desk_command
def list_letters(asked: Asked) -> None:
    """List letters, one line each, in the order of the topic.

    Exit code 0, also when there is none.
    """
    if sys.stdout.isatty() and not asked.as_json:
        count = _print_tables(asked)
    else:
        count = _print_lines(asked)
    say_what_was_left_out(asked, count)


def _print_lines(asked: Asked) -> int:
    count = 0
    for letter in asked.letters(printed=True):
        count += 1
        if asked.as_json:
            document = {**plain(letter, reveal=asked.reveal), "done": _done(letter, asked) or None}
            click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        else:
            click.echo(_GAP.join(_row(letter, asked)))
    return count


def _print_tables(asked: Asked) -> int:
    """One table, printed in pieces: a million letters begin at once, and are not kept."""
    console, letters, count = Console(highlight=False), asked.letters(printed=True), 0
    # In a narrow terminal there is room for where it came from, or for why it is here.
    shown = [name for name in _COLUMNS if name != "source" or console.width >= _WIDE]
    while piece := list(islice(letters, _AT_ONCE)):
        rows = [dict(zip(_COLUMNS, _row(letter, asked), strict=True)) for letter in piece]
        table = Table(box=None, pad_edge=False, show_header=not count)
        for name, width in _widths(rows, shown, console.width).items():
            table.add_column(name, overflow="ellipsis", no_wrap=True, width=width)
        for row in rows:
            table.add_row(*(Text(row[name]) for name in shown))
        console.print(table)
        count += len(piece)
    return count


def _widths(rows: list[dict[str, str]], shown: list[str], width: int) -> dict[str, int]:
    """Events and details have what is left by columns that are not cut."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in shown}
    left = width - len(_GAP) * (len(shown) - 1) - sum(widths[name] for name in _WHOLE & {*shown})
    widths["event"] = min(widths["event"], max(len("event"), left // 3))
    widths["detail"] = max(len("detail"), left - widths["event"])
    return widths


def _done(letter: DeadLetter, asked: Asked) -> str:
    return asked.desk.ledger.action(letter.partition, letter.offset) or ""


def _row(letter: DeadLetter, asked: Asked) -> list[str]:
    done = _done(letter, asked)
    text = [
        letter.place,
        moment(letter.failed_at),
        letter.reason,
        letter.event or "-",
        letter.source.text() if letter.source else "-",
        f"({done}) {letter.problems[0].detail}" if done else letter.problems[0].detail or "-",
    ]
    return [one_line(each if asked.reveal else mask(each)) for each in text]
