"""`track-pipeline replay list`: every replay that was begun."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_notice, print_table
from pipeline.cli.replay.options import JSON
from pipeline.cli.tables import CellKind, Column
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.presence import states_of
from pipeline.settings.model import Settings

_COLUMNS: Final = (
    Column("id", CellKind.ID),
    Column("state", CellKind.ID),
    Column("begun", CellKind.TIME, priority=1),
    Column("by", CellKind.SHORT_TEXT, priority=2),
    Column("source", CellKind.SHORT_TEXT, priority=3),
    Column("window", priority=5, least=40),
    Column("size", CellKind.ID, priority=4),
)


@click.command("list")
@with_settings("--bootstrap-servers", needs_kafka=True)
@JSON
def list_replays(settings: Settings, *, as_json: bool) -> None:
    """List replays, oldest first: who began them when, of what, and their state.

    An unfinished replay is running while a process works on it, which Kafka knows as a member of a
    consumer group. Else it is interrupted, and --resume ID goes on with it. `replay status ID`
    shows how far it is.
    """
    records = PlanStore(settings).all().values()
    states = states_of(settings, records)
    if as_json:
        for record in records:
            print_json({**record.plan.to_dict(), "state": states[record.plan.id].value})
        return
    if not records:
        print_notice("there are no replays")
        return
    print_table(
        _COLUMNS,
        (
            (
                plan.id,
                states[plan.id].value,
                plan.created_at,
                plan.created_by,
                plan.source,
                plan.window.text(),
                f"{plan.offsets:,} {plan.unit}",
            )
            for record in records
            for plan in [record.plan]
        ),
    )
