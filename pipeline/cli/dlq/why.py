"""`track-pipeline dlq why`: what dead letters have in common that good events do not have."""

from __future__ import annotations

import click

from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.dlq.why_view import WhyView
from pipeline.cli.help import Command
from pipeline.cli.output import print_json, print_notice
from pipeline.dlq.contrast import MOST_FINDINGS
from pipeline.dlq.contrast_report import contrast_with_baseline
from pipeline.dlq.request import DlqRequest
from pipeline.worker.memory_tuning import tune_memory


@click.command(
    cls=Command,
    groups=groups({"Findings": ["--top"]}),
    examples={
        "Where do invalid amounts come from?": "track-pipeline dlq why --reason revenue_invalid"
    },
)
@dlq_command
@click.option(
    "--top",
    type=click.IntRange(1),
    default=MOST_FINDINGS,
    show_default=True,
    help="Maximum number of differences to show.",
)
def why(request: DlqRequest, display: Display, top: int) -> None:
    """Find what dead letters have in common that good events do not have.

    Compared are library and version, event, app version, raw partition, the presence and type of
    ids and properties, page and host, and the hour: those of the dead letters with those of a
    sample of the enriched topic of the same time (with --event or --library, of the same ones).
    The largest difference comes first.

    Exit code 0, whatever is found.
    """
    tune_memory()
    with reading_progress() as on_progress:
        report = contrast_with_baseline(
            request, most=top, on_progress=on_progress, on_notice=print_notice
        )
    view = WhyView(request, display, report)
    if display.as_json:
        print_json(view.to_dict())
    elif report.dead_letters.rows:
        view.print()
    note_coverage(request, report.coverage, report.dead_letters.offered)
