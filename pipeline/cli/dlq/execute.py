"""Doing what a plan says, with progress, and what is said in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable

import click
from rich.console import Console
from rich.text import Text

from pipeline.cli.progress import shown_progress
from pipeline.core.escape import escaped
from pipeline.core.record import Role
from pipeline.dlq.ledger import Ledger
from pipeline.dlq.ledger_session import DeskOpener
from pipeline.dlq.redrive import Deed, Done, Redriver
from pipeline.dlq.targets import Place
from pipeline.errors import ExitCode
from pipeline.progress import Progress
from pipeline.worker.signals import stopping_on_signals


def execute(  # noqa: PLR0913  what decides about a run
    where: Place,
    deeds: Callable[[Ledger], Iterable[Deed]],
    id_: str,
    *,
    planned: int,
    written: Collection[Role],
    rate: float | None,
    as_json: bool,
) -> int:
    """Do all deeds, of which there may be as many as `planned`; how many the broker refused.

    `written` are the outputs that there may be. Ends the program with exit code 130 after a signal.
    Whatever ends it, what was done until then is said, and stays.
    """
    where.check(written)
    console = Console(stderr=True)
    done = Done()
    try:
        with stopping_on_signals() as stop, shown_progress(console) as on_progress:

            def show(done: Done) -> None:
                tried = done.sent + done.already + done.refused.total()
                on_progress(Progress("sending letters", min(tried, planned), planned))

            on_done = show if console.is_terminal else None
            redriver = Redriver(DeskOpener(where), stop, rate=rate, on_done=on_done)
            done = redriver.done
            redriver.run(deeds)
    finally:  # when the bar is gone, which would take the last line with it
        _say(done, id_, as_json=as_json)
    if done.stopped:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)
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
