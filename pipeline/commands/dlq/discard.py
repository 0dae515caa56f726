"""`track-pipeline dlq discard`: marks letters as dealt with."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pipeline.commands.dlq.closing import say_what_was_left_out
from pipeline.commands.dlq.executing import execute
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.commands.dlq.sending import new_id, place, whoami
from pipeline.core.record import Role
from pipeline.deadletters.ledger import Action, Entry, Ledger
from pipeline.deadletters.redrive import Deed
from pipeline.wiring import WallClock


@click.command()
@desk_command
@click.option("--because", required=True, metavar="TEXT", help="Why; `dlq history` shows it.")
@click.option("--execute", "act", is_flag=True, help="Do it; else they are counted only.")
def discard(asked: Asked, because: str, *, act: bool) -> None:
    """Mark letters as dealt with, so that no command shows them any more (but with --all).

    Nothing is deleted: the letters stay in their topic until its retention ends.
    """
    captured, now = asked.desk.captured, WallClock().now()
    id_ = new_id("discard", now)
    topics = {Role.DEAD_LETTER: captured.topic, Role.ENRICHED: asked.settings.topics.enriched}

    def deeds(_ledger: Ledger) -> Iterator[Deed]:
        for letter in asked.letters():
            source = letter.source.text() if letter.source else ""
            entry = Entry(
                captured.topic_id,
                letter.partition,
                letter.offset,
                Action.DISCARDED,
                source,
                letter.source_timestamp,
                whoami(),
                now,
                id_,
                because=because,
            )
            yield Deed((), entry)

    if act:
        where = place(asked.settings, captured.topic, captured.topic_id, topics)
        execute(where, deeds, id_, rate=None, as_json=asked.as_json)
        return
    count = sum(1 for _ in asked.letters())
    click.echo(f"{count:,} letters would be discarded: --execute does it")
    say_what_was_left_out(asked, count)
