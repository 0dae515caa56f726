"""`track-pipeline dlq discard`: marks letters as dealt with."""

from __future__ import annotations

import click

from pipeline.cli.dlq.marking import mark, refuse_without_a_filter, with_marking
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.options import Parsed, utf8_text
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.ledger import Action


@click.command()
@desk_command
@click.option(
    "--because",
    required=True,
    type=Parsed("text", utf8_text),
    metavar="TEXT",
    help="Why; `dlq history` shows it.",
)
@with_marking
def discard(asked: Asked, because: str, *, everything: bool, most: int, act: bool) -> None:
    """Mark letters as dealt with, so that no command shows them any more (but with --all).

    Nothing is deleted: the letters stay in their topic until its retention ends, and `dlq restore`
    takes the mark away. Shows the plan unless --execute is given.
    """
    refuse_without_a_filter(asked, everything=everything)
    ledger = asked.desk.ledger

    def is_meant(letter: DeadLetter) -> bool:
        return ledger.action(letter.partition, letter.offset) is None

    mark(asked, "discard", Action.DISCARDED, is_meant, because=because, most=most, act=act)
