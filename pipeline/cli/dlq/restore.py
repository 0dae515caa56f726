"""`track-pipeline dlq restore`: undoes a discard."""

from __future__ import annotations

from dataclasses import replace

import click

from pipeline.cli.dlq.marking import mark, refuse_without_a_filter, with_marking
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.options import Parsed, utf8_text
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.ledger import Action, Ledger, discarded_by
from pipeline.dlq.ledger_topic import entries_of


@click.command()
@desk_command
@click.option("--id", "discard_id", metavar="ID", help="Only what this discard has discarded.")
@click.option(
    "--because",
    default="",
    type=Parsed("text", utf8_text),
    metavar="TEXT",
    help="Why; `dlq history` shows it.",
)
@with_marking
def restore(  # noqa: PLR0913  one for each option
    asked: Asked, discard_id: str | None, because: str, *, everything: bool, most: int, act: bool
) -> None:
    """Make discarded dead letters pending again: every command shows them, and redrive sends them.

    What was redriven stays as it is. Shows the plan unless --execute is given.
    """
    discarded = asked.desk.ledger
    if discard_id is None:
        refuse_without_a_filter(asked, everything=everything)
    else:
        discarded = _discarded_by(asked, discard_id)

    def is_meant(letter: DeadLetter) -> bool:
        return discarded.action(letter.partition, letter.offset) is Action.DISCARDED

    asked = replace(asked, done_too=True)
    mark(asked, "restore", Action.RESTORED, is_meant, because=because, most=most, act=act)


def _discarded_by(asked: Asked, discard_id: str) -> Ledger:
    """UsageError when there is no such discard, or none that was not undone."""
    captured = asked.desk.captured
    found = discarded_by(discard_id, captured.topic_id, entries_of(asked.settings, captured.topic))
    if found.is_empty:
        text = f"the ledger of {captured.topic} lists no discard {discard_id}: see dlq history"
        raise click.UsageError(f"--id: {text}")
    return found
