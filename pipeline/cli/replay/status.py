"""`track-pipeline replay status ID`: how far a replay is."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.formats import moment
from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_line, print_table
from pipeline.cli.replay.file_view import print_files
from pipeline.cli.replay.options import JSON
from pipeline.cli.replay.result import status_lines
from pipeline.cli.tables import CellKind, Column
from pipeline.replay.finish import resume_hint
from pipeline.replay.plan import PlanRecord
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.presence import ReplayState, states_of
from pipeline.replay.status import ReplayStatus, StatusReader
from pipeline.settings.model import Settings

_COLUMNS: Final = (
    Column("partition", CellKind.ID),
    Column("start", CellKind.NUMBER),
    Column("position", CellKind.NUMBER),
    Column("end", CellKind.NUMBER),
)


@click.command()
@click.argument("id_", metavar="ID")
@with_settings("--bootstrap-servers", needs_kafka=True)
@JSON
def status(settings: Settings, *, id_: str, as_json: bool) -> None:
    """Show how far a replay is, by the offsets of its group, and what became of its records.

    It changes nothing; the replay may run meanwhile.
    """
    record = PlanStore(settings).one(id_)
    state = states_of(settings, [record])[id_]
    found = StatusReader(settings, record.plan).read()
    if as_json:
        print_json({**record.plan.to_dict(), "state": state.value, **found.to_dict()})
        return
    _print(record, state, found)


def _print(record: PlanRecord, state: ReplayState, found: ReplayStatus) -> None:
    plan = found.plan
    print_line(_state_line(record, state))
    if plan.archive is None:
        rows = [
            (part.partition, part.start, found.positions.get(part.partition), part.end)
            for part in plan.parts
        ]
        print_table(_COLUMNS, rows)
    else:
        print_files(plan.archive, found.done)
    for line in status_lines(found):
        print_line(line)


def _state_line(record: PlanRecord, state: ReplayState) -> str:
    noted = f"{record.state.value} by {record.by} at {moment(record.at)}"
    if state in {ReplayState.FINISHED, ReplayState.CANCELLED}:
        return noted
    line = f"{state.value} ({noted})"
    return (
        f"{line}: no process works on it. {resume_hint(record.plan)}"
        if (state is ReplayState.INTERRUPTED)
        else line
    )
