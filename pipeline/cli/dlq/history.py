"""`track-pipeline dlq history`: what was redriven, discarded and restored, by whom."""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

import click
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import PIPELINE_FLAGS, Moment, with_settings
from pipeline.cli.output import output_console
from pipeline.core.escape import escaped, one_line
from pipeline.core.time_window import FORMS, Window
from pipeline.core.timestamps import format_time
from pipeline.dlq.ledger import Entry
from pipeline.dlq.ledger_topic import entries_of
from pipeline.settings.model import Settings


class _Run(NamedTuple):
    """What the entries of one command have in common."""

    at: int
    """Epoch milliseconds."""
    id: str
    action: str
    who: str
    target: str
    repair: str
    because: str


@click.command()
@with_settings(*PIPELINE_FLAGS, needs_kafka=True)
@click.option(
    "--topic", metavar="NAME", help="Dead-letter topic, such as that of a replay or of Connect."
)
@click.option(
    "--since",
    type=Moment("earliest"),
    default="earliest",
    metavar="TIME",
    help=f"Begun at this time or later: {FORMS}.",
)
@click.option(
    "--until", type=Moment("latest"), default="latest", metavar="TIME", help="Begun before this."
)
@click.option("--json", "as_json", is_flag=True, help="NDJSON on standard output.")
def history(
    settings: Settings, topic: str | None, since: int | None, until: int | None, *, as_json: bool
) -> None:
    """List redrives, discards and restores: when, by whom, how many letters, to where, why.

    What is older than the ledger's retention is forgotten.
    """
    topic, window = topic or settings.topics.dead_letter, Window(since, until)
    runs = Counter(
        _run_of(entry) for entry in entries_of(settings, topic) if window.holds(entry.at)
    )
    ordered = sorted(runs.items())
    if as_json:
        for run, count in ordered:
            click.echo(escaped(json.dumps(_plain(run, count), ensure_ascii=False)))
    elif ordered:
        _print(ordered)
    if not runs:
        text = f"nothing was done with letters of {topic} {window.text()}"
        click.echo(escaped(text.rstrip()), err=True)


def _print(runs: list[tuple[_Run, int]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("when", "who", "what", "letters", "to", "repair or reason", "id"):
        right = name == "letters"
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=name in {"when", "letters"},
            overflow="fold",
        )
    for run, count in runs:
        why = run.repair or run.because
        cells = (format_time(run.at), run.who, run.action, f"{count:,}", run.target, why, run.id)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    output_console().print(table)


def _run_of(entry: Entry) -> _Run:
    return _Run(
        entry.at,
        entry.id,
        entry.action,
        entry.who,
        entry.target,
        entry.repair,
        entry.because,
    )


def _plain(run: _Run, count: int) -> dict[str, object]:
    return {
        "id": run.id,
        "action": run.action,
        "who": run.who,
        "at": format_time(run.at),
        "letters": count,
        "target": run.target or None,
        "repair": run.repair or None,
        "because": run.because or None,
    }
