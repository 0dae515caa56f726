"""Doing what a plan says, with progress, and what is said in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import click
from rich.console import Console
from rich.text import Text

from pipeline.commands.dlq.sending import DeskOpener, Place
from pipeline.core.readable import escaped
from pipeline.deadletters.ledger import Ledger
from pipeline.deadletters.redrive import Deed, Done, Redriver
from pipeline.edges.signals import stopping_on_signals
from pipeline.exits import Exit


def execute(
    where: Place,
    deeds: Callable[[Ledger], Iterable[Deed]],
    id_: str,
    *,
    rate: float | None,
    as_json: bool,
) -> int:
    """Do all deeds; how many letters the broker refused.

    Ends the program with exit code 130 after a signal; what was done until then is said, and stays.
    """
    console = Console(stderr=True)
    with stopping_on_signals() as stop, console.status("sending letters") as status:

        def show(done: Done) -> None:
            status.update(f"{done.sent:,} letters done")

        on_done = show if console.is_terminal else None
        done = Redriver(DeskOpener(where), stop, rate=rate, on_done=on_done).run(deeds)
    _say(done, id_, as_json=as_json)
    if done.stopped:
        raise click.exceptions.Exit(Exit.INTERRUPTED)
    return done.refused.total()


def _say(done: Done, id_: str, *, as_json: bool) -> None:
    if as_json:
        document = {
            "id": id_,
            "done": done.sent,
            "already_done": done.already,
            "refused": dict(done.refused),
            "stopped": done.stopped,
        }
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        return
    text = f"{id_}: {done.sent:,} letters done"
    if done.already:
        text += f", {done.already:,} had been done by others"
    if done.stopped:
        text += "; stopped, the same command goes on"
    click.echo(text)
    for why, number in done.refused.items():
        Console(stderr=True).print(Text(escaped(f"{number:,} letters were refused: {why}"), "red"))
