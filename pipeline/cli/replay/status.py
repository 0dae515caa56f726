"""`track-pipeline replay status ID`: how far a replay is."""

from __future__ import annotations

import json

import click
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import with_settings
from pipeline.cli.output import output_console
from pipeline.cli.replay.file_view import file_table
from pipeline.cli.replay.options import JSON
from pipeline.core.escape import escaped
from pipeline.core.timestamps import format_time
from pipeline.replay.finish import lines
from pipeline.replay.plan import PlanRecord
from pipeline.replay.plan_store import PlansTopic
from pipeline.replay.status import Standing, standing
from pipeline.replay.wiring import replay_offsets
from pipeline.settings.model import Settings


@click.command()
@click.argument("id_", metavar="ID")
@with_settings("--bootstrap-servers", needs_kafka=True)
@JSON
def status(settings: Settings, *, id_: str, as_json: bool) -> None:
    """Show how far a replay is, by the offsets of its group, and what became of its records.

    It changes nothing; the replay may run meanwhile.
    """
    record = PlansTopic(settings).one(id_)
    found = replay_offsets(settings, record.plan).read(part.partition for part in record.plan.parts)
    now = standing(record.plan, found)
    if as_json:
        document = {**record.plan.plain(), "state": record.state.value, **now.plain()}
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        return
    _print(record, now)


def _print(record: PlanRecord, now: Standing) -> None:
    console = output_console()
    since = f"{record.state.value} by {record.by} at {format_time(record.at)}"
    console.print(Text(escaped(since)), soft_wrap=True)
    archive = now.plan.archive
    console.print(_partitions(now) if archive is None else file_table(archive, now.done))
    for line in lines(now):
        console.print(Text(escaped(line)), soft_wrap=True)


def _partitions(now: Standing) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("partition", "start", "position", "end"):
        table.add_column(name, justify="right")
    for part in now.plan.parts:
        at = now.positions.get(part.partition)
        cells = (
            part.partition,
            f"{part.start:,}",
            "" if at is None else f"{at:,}",
            f"{part.end:,}",
        )
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table
