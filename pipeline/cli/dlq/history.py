"""`track-pipeline dlq history`: what was redriven, discarded and restored, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from pipeline.cli.dlq.options import topic_option
from pipeline.cli.help import Command
from pipeline.cli.options import PIPELINE_FLAGS, Moment, with_settings
from pipeline.cli.output import print_json, print_notice, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.time_window import FORMS, Window
from pipeline.core.timestamps import format_time
from pipeline.dlq.history import LedgerRun
from pipeline.dlq.history import history as runs_of
from pipeline.dlq.request import DlqRequest
from pipeline.settings.model import Settings

_COLUMNS: Final = (
    Column("when", CellKind.TIME),
    Column("who", CellKind.SHORT_TEXT, 2),
    Column("what", CellKind.ID),
    Column("dead letters", CellKind.NUMBER),
    Column("to", CellKind.ID, 3),
    Column("repair or reason", priority=1, least=29),
    Column("id", CellKind.ID),
)


@click.command(
    cls=Command,
    groups={
        "Which runs": ["--since", "--until", "--topic"],
        "Output": ["--json"],
        "Kafka": ["--config", *PIPELINE_FLAGS],
    },
)
@with_settings(*PIPELINE_FLAGS, needs_kafka=True)
@topic_option
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
    """List redrives, discards and restores: when, by whom, how many, where to, and why.

    Runs that are older than the retention of the ledger are forgotten.
    """
    request, window = DlqRequest(settings, topic), Window(since, until)
    runs = runs_of(request, window)
    if as_json:
        for run, count in runs:
            print_json(_to_dict(run, count))
    elif runs:
        print_table(_COLUMNS, _rows(runs))
    if not runs:
        text = f"nothing was done with dead letters of {request.dead_letter_topic} {window.text()}"
        print_notice(text.rstrip())


def _rows(runs: list[tuple[LedgerRun, int]]) -> Iterator[list[Cell]]:
    for run, count in runs:
        why = run.repair or run.because
        yield [run.at, run.who, run.action, count, run.target or None, why or None, run.id]


def _to_dict(run: LedgerRun, count: int) -> dict[str, object]:
    return {
        "id": run.id,
        "action": run.action,
        "who": run.who,
        "at": format_time(run.at),
        "dead_letters": count,
        "target": run.target or None,
        "repair": run.repair or None,
        "because": run.because or None,
    }
