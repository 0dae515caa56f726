"""`track-pipeline dlq discard`: marks letters as dealt with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import click
from rich.table import Table
from rich.text import Text

from pipeline.commands.console import output_console
from pipeline.commands.dlq.closing import say_what_was_left_out
from pipeline.commands.dlq.executing import execute
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.commands.dlq.place import Place, place
from pipeline.commands.names import new_id, whoami
from pipeline.core.readable import escaped
from pipeline.core.record import Role
from pipeline.deadletters.held_money import HeldMoney
from pipeline.deadletters.ledger import Action, Entry, Ledger
from pipeline.deadletters.redrive import Deed
from pipeline.wiring import WallClock


@click.command()
@desk_command
@click.option("--because", required=True, metavar="TEXT", help="Why; `dlq history` shows it.")
@click.option("--execute", "act", is_flag=True, help="Do it; else the plan is shown only.")
def discard(asked: Asked, because: str, *, act: bool) -> None:
    """Mark letters as dealt with, so that no command shows them any more (but with --all).

    Nothing is deleted: the letters stay in their topic until its retention ends. Shows the plan
    unless --execute is given.
    """
    captured, now = asked.desk.captured, WallClock().now()
    id_ = new_id("discard", now)
    outputs = {Role.DEAD_LETTER: captured.topic}
    where = place(asked.settings, captured.topic, captured.topic_id, outputs)
    count = _show_plan(asked, id_)
    if act and count:

        def deeds(_ledger: Ledger) -> Iterator[Deed]:
            return _deeds(asked, where, id_, now, because)

        execute(where, deeds, id_, planned=count, written=(), rate=None, as_json=asked.as_json)
    elif count:
        click.echo("nothing was written: --execute does it", err=True)
    say_what_was_left_out(asked, count)


def _deeds(asked: Asked, where: Place, id_: str, now: int, because: str) -> Iterator[Deed]:
    who = whoami()
    for letter in asked.desk.letters(asked.selection, done_too=asked.done_too):
        entry = Entry(
            where.topic_id,
            letter.partition,
            letter.offset,
            Action.DISCARDED,
            letter.source.text() if letter.source else "",
            letter.source_timestamp,
            who,
            now,
            id_,
            because=because,
        )
        yield Deed((), entry)


def _show_plan(asked: Asked, id_: str) -> int:
    """What would be discarded, by reason, and its money; how many letters."""
    reasons, money = Counter[str](), HeldMoney(asked.settings)
    for letter in asked.letters():
        if asked.desk.ledger.action(letter.partition, letter.offset) is None:  # with --all
            reasons[letter.reason] += 1
            money.add(letter)
    count = reasons.total()
    if asked.as_json:
        plan = {"id": id_, "discard": count, "reasons": dict(reasons), "money": money.plain()}
        click.echo(escaped(json.dumps(plan, ensure_ascii=False)))
    elif count:
        table = Table(box=None, pad_edge=False)
        table.add_column("to discard", justify="right")
        table.add_column("reason")
        for reason, number in reasons.most_common():
            table.add_row(f"{number:,}", Text(escaped(reason)))
        output_console().print(table)
        if money.letters:
            click.echo(money.sentence())
    return count
