"""`track-pipeline dlq summary`: what is wrong, how often, and since when."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.dlq.summary_view import next_command, print_summary, values_of
from pipeline.cli.options import Parsed
from pipeline.cli.output import output_console
from pipeline.core.escape import escaped
from pipeline.core.masking import mask
from pipeline.dlq.as_json import moment
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.dimensions import NAMES, Dimension, dimension
from pipeline.dlq.parallel_summary import count
from pipeline.dlq.summary import Group, Summary
from pipeline.worker.memory_tuning import tune_memory

_COLUMNS: Final = 48
"""Of the counts over time in a document."""


@click.command()
@desk_command
@click.option(
    "--by",
    type=Parsed("dimension", dimension),
    multiple=True,
    metavar=f"{'|'.join(NAMES)}|/POINTER",
    help="What to group by, such as event or /context/app/version. "
    "May be repeated: groups are combinations then. [default: reason]",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Most groups that are shown; --json has all.",
)
def summary(asked: Asked, by: tuple[Dimension, ...], top: int) -> None:
    """Count the letters by reason, or by what --by names.

    Each group has its count, its first and last failure (UTC), a chart over time and one letter,
    which dlq show shows. Ids, numbers and quoted values are folded out of the details. A letter
    with several reasons counts once, by its first.

    Exit code 0, also when there is no letter.
    """
    tune_memory()
    found, money = count(asked, by or (dimension("reason"),))
    if asked.as_json:
        document = _plain(asked, found, money)
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
    elif found.letters:
        print_summary(output_console(), asked, found, money, top)
    say_what_was_left_out(asked, found.letters)


def _plain(asked: Asked, found: Summary, money: HeldMoney) -> dict[str, Any]:
    return {
        "topic": asked.desk.captured.topic,
        "letters": found.letters,
        "first_failed_at": moment(found.first) or None,
        "last_failed_at": moment(found.last) or None,
        "by": [each.name for each in found.by],
        "masked": not asked.reveal,
        "groups": [_plain_group(asked, found, group) for group in found.groups()],
        "other": _plain_group(asked, found, found.other) if found.other.letters else None,
        "over_time": {
            "start": moment(found.timeline.start()) or None,
            "column_ms": found.timeline.column_width(_COLUMNS),
        },
        "money": money.plain(),
        "left_out": dict(asked.desk.done),
        "next": next_command(asked, found) if found.letters else None,
    }


def _plain_group(asked: Asked, found: Summary, group: Group) -> dict[str, Any]:
    names = [each.name for each in found.by]
    return {
        "key": dict(zip(names, values_of(asked, found, group), strict=True)) if group.key else None,
        "letters": group.letters,
        "share": round(group.letters / found.letters, 6),
        "first_failed_at": moment(group.first) or None,
        "last_failed_at": moment(group.last) or None,
        "sample": group.sample,
        "over_time": found.timeline.columns(group.over_time, _COLUMNS),
        "details": [
            {
                "detail": kind.shown if asked.reveal else mask(kind.shown),
                "letters": kind.letters,
            }
            for kind in group.main_kinds()
        ],
        "letters_of_other_details": group.of_other_kinds,
    }
