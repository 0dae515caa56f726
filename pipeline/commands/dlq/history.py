"""`track-pipeline dlq history`: what was redriven and discarded, by whom."""

from __future__ import annotations

import json
from collections import Counter

import click
from rich.table import Table
from rich.text import Text

from pipeline.commands.console import output_console
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.commands.dlq.sending import DeskOpener, place
from pipeline.core.readable import escaped
from pipeline.core.record import Role
from pipeline.core.timestamps import format_time
from pipeline.deadletters.ledger import Entry

_Run = tuple[str, str, str, int, str, str, str]


@click.command()
@desk_command
def history(asked: Asked) -> None:
    """List redrives and discards: when, by whom, how many letters, to where, why."""
    captured = asked.desk.captured
    topics = {Role.DEAD_LETTER: captured.topic}
    where = place(asked.settings, captured.topic, captured.topic_id, topics)
    _, _, entries = DeskOpener(where).read()
    runs = Counter(map(_run_of, entries))
    ordered = sorted(runs.items(), key=lambda item: (item[0][3], item[0]))
    if asked.as_json:
        for run, count in ordered:
            click.echo(escaped(json.dumps(_plain(run, count), ensure_ascii=False)))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("when", "who", "what", "letters", "to", "repair or reason", "id"):
        table.add_column(name, justify="right" if name == "letters" else "left")
    for (id_, action, who, at, target, repair, because), count in ordered:
        cells = (format_time(at), who, action, f"{count:,}", target, repair or because, id_)
        table.add_row(*(Text(escaped(cell)) for cell in cells))
    output_console().print(table)
    if not runs:
        click.echo(f"nothing was done with letters of {captured.topic} yet", err=True)


def _run_of(entry: Entry) -> _Run:
    return (
        entry.id,
        entry.action,
        entry.who,
        entry.at,
        entry.target,
        entry.repair,
        entry.because,
    )


def _plain(run: _Run, count: int) -> dict[str, object]:
    id_, action, who, at, target, repair, because = run
    return {
        "id": id_,
        "action": action,
        "who": who,
        "at": format_time(at),
        "letters": count,
        "target": target or None,
        "repair": repair or None,
        "because": because or None,
    }
