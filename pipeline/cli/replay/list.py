"""`track-pipeline replay list`: every replay that was begun."""

from __future__ import annotations

import json

import click
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import with_settings
from pipeline.cli.output import output_console
from pipeline.cli.replay.options import JSON
from pipeline.core.escape import escaped
from pipeline.core.timestamps import format_time
from pipeline.replay.plan import PlanRecord
from pipeline.replay.plan_store import PlansTopic
from pipeline.settings.model import Settings


@click.command("list")
@with_settings("--bootstrap-servers", needs_kafka=True)
@JSON
def list_replays(settings: Settings, *, as_json: bool) -> None:
    """List replays, oldest first: who began them when, of what, and their state.

    How far one is, `replay status ID` tells.
    """
    records = PlansTopic(settings).all().values()
    if as_json:
        for record in records:
            document = {**record.plan.plain(), "state": record.state.value}
            click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        return
    if not records:
        click.echo("there are no replays", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "state", "begun", "by", "source", "window", "size"):
        table.add_column(name, justify="right" if name == "size" else "left")
    for record in records:
        table.add_row(*(Text(escaped(cell)) for cell in _cells(record)))
    output_console().print(table)


def _cells(record: PlanRecord) -> tuple[str, ...]:
    plan = record.plan
    return (
        plan.id,
        record.state.value,
        format_time(plan.created_at),
        plan.created_by,
        plan.source,
        plan.window.text(),
        f"{plan.offsets:,} {plan.unit}",
    )
