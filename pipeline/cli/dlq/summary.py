"""`track-pipeline dlq summary`: what is wrong, how often, and since when."""

from __future__ import annotations

from typing import Any, Final

import click

from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.dlq.summary_view import SummaryView, suggest_next, values_of
from pipeline.cli.help import Command
from pipeline.cli.options import Parsed
from pipeline.cli.output import print_json, print_notice
from pipeline.core.masking import mask
from pipeline.dlq.as_json import iso_time
from pipeline.dlq.dimensions import NAMES, Dimension, dimension
from pipeline.dlq.request import DlqRequest
from pipeline.dlq.summary import Group, summarize
from pipeline.worker.memory_tuning import tune_memory

_COLUMNS: Final = 48
"""Number of counts over time in a document."""


@click.command(
    cls=Command,
    groups=groups({"Groups": ["--by", "--top"]}),
    examples={
        "What has been wrong in the last two hours?": "track-pipeline dlq summary --since 2h",
        "Which library sends it?": "track-pipeline dlq summary --by reason --by library",
    },
)
@dlq_command
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
    help="Maximum number of groups that are shown; --json has all.",
)
def summary(request: DlqRequest, display: Display, by: tuple[Dimension, ...], top: int) -> None:
    """Count dead letters by reason, or by the dimensions of --by.

    Each group has its count, its first and last failure (UTC), a chart over time and an example,
    which dlq show shows. Ids, numbers and quoted values in details become placeholders, so that
    similar details count as one. A dead letter with several reasons counts once, by its first.

    Exit code 0, also when there are none.
    """
    tune_memory()
    with reading_progress() as on_progress:
        result = summarize(
            request, by or ("reason",), on_progress=on_progress, on_notice=print_notice
        )
    view = SummaryView(request, display, result)
    if display.as_json:
        print_json(_to_dict(view))
    elif result.summary.dead_letters:
        view.print(top)
    note_coverage(request, result.coverage, result.summary.dead_letters)


def _to_dict(view: SummaryView) -> dict[str, Any]:
    found = view.result.summary
    return {
        "topic": view.request.dead_letter_topic,
        "dead_letters": found.dead_letters,
        "first_failed_at": iso_time(found.first) or None,
        "last_failed_at": iso_time(found.last) or None,
        "by": [each.name for each in found.by],
        "masked": not view.display.reveal,
        "groups": [_group_to_dict(view, group) for group in found.groups()],
        "other": _group_to_dict(view, found.other) if found.other.dead_letters else None,
        "over_time": {
            "start": iso_time(found.timeline.start()) or None,
            "column_ms": found.timeline.column_width(_COLUMNS),
        },
        "revenue": view.result.revenue.to_dict(),
        "expiring": view.result.expiring,
        "expires_in_s": view.result.expires_in_s,
        "left_out": dict(view.result.coverage.left_out),
        "next": suggest_next(view) if found.dead_letters else None,
    }


def _group_to_dict(view: SummaryView, group: Group) -> dict[str, Any]:
    found, reveal = view.result.summary, view.display.reveal
    names = [each.name for each in found.by]
    return {
        "key": dict(zip(names, values_of(view, group), strict=True)) if group.key else None,
        "dead_letters": group.dead_letters,
        "share": round(group.dead_letters / found.dead_letters, 6),
        "first_failed_at": iso_time(group.first) or None,
        "last_failed_at": iso_time(group.last) or None,
        "sample": group.sample,
        "over_time": found.timeline.columns(group.over_time, _COLUMNS),
        "details": [
            {
                "detail": pattern.shown if reveal else mask(pattern.shown),
                "dead_letters": pattern.dead_letters,
            }
            for pattern in group.main_patterns()
        ],
        "dead_letters_of_other_details": group.of_other_patterns,
    }
