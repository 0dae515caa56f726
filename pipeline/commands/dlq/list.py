"""`track-pipeline dlq list`: letters, one line each."""

from __future__ import annotations

import json
import sys
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.commands.dlq.closing import say_what_was_left_out
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.core.readable import escaped, one_line
from pipeline.deadletters.letter import DeadLetter
from pipeline.deadletters.masking import mask
from pipeline.deadletters.shown import moment, plain

_COLUMNS: Final = ("letter", "failed at", "reason", "event", "source", "detail")


@click.command("list")
@desk_command
def list_letters(asked: Asked) -> None:
    """List letters, one line each, in the order of the topic.

    Exit code 0, also when there is none.
    """
    if sys.stdout.isatty() and not asked.as_json:
        count = _print_table(asked)
    else:
        count = _print_lines(asked)
    say_what_was_left_out(asked, count)


def _print_lines(asked: Asked) -> int:
    count = 0
    for letter in asked.letters():
        count += 1
        if asked.as_json:
            document = plain(letter, reveal=asked.reveal)
            click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        else:
            click.echo("  ".join(_row(letter, reveal=asked.reveal)))
    return count


def _print_table(asked: Asked) -> int:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for letter in asked.letters():
        table.add_row(*map(Text, _row(letter, reveal=asked.reveal)))
    Console(highlight=False).print(table)
    return table.row_count


def _row(letter: DeadLetter, *, reveal: bool) -> list[str]:
    text = [
        letter.place,
        moment(letter.failed_at),
        letter.reason,
        letter.event or "-",
        letter.source.text() if letter.source else "-",
        letter.problems[0].detail or "-",
    ]
    return [one_line(each if reveal else mask(each)) for each in text]
