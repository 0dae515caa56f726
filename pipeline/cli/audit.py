"""`track-pipeline audit`: does every raw event have exactly its outcome?"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.audit_view import print_result
from pipeline.cli.options import PIPELINE_FLAGS, Moment, with_settings
from pipeline.cli.output import print_json
from pipeline.cli.progress import shown_progress
from pipeline.core.time_window import FORMS, Window
from pipeline.errors import ExitCode
from pipeline.reconcile.audit import AuditRequest
from pipeline.reconcile.audit import audit as run_audit
from pipeline.settings.model import Settings
from pipeline.worker.memory_tuning import tune_memory


@click.command()
@with_settings(*PIPELINE_FLAGS, needs_kafka=True)
@click.option(
    "--from",
    "start",
    type=Moment("earliest"),
    default="earliest",
    metavar="TIME",
    show_default=True,
    help=f"Only raw records with this Kafka timestamp or a later one: {FORMS}.",
)
@click.option(
    "--to",
    "end",
    type=Moment("latest"),
    default="latest",
    metavar="TIME",
    show_default=True,
    help="Only raw records with an earlier Kafka timestamp than this.",
)
@click.option("--revenue", is_flag=True, help="Also add up the revenue by day and currency.")
@click.option(
    "--show",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Number of discrepancies of each kind to name.",
)
@click.option(
    "--spill-dir",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder for the temporary file, which needs about 80 bytes for each output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def audit(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    settings: Settings,
    *,
    start: int | None,
    end: int | None,
    show: int,
    spill_dir: Path | None,
    revenue: bool,
    as_json: bool,
) -> None:
    """Check that every raw event has exactly its outcome in the output topics.

    Reads the topics as they are now and changes nothing; workers may keep running. Everything below
    the group's committed offsets is processed again with the settings given here, which must be
    those of the worker.

    Exits with code 0 when everything adds up, and with 1 when an output is missing, duplicated,
    orphaned, mismatched or out of order, or when the revenue does not balance.
    """
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--from must be earlier than --to")
    tune_memory()
    with shown_progress() as on_progress:
        request = AuditRequest(Window(start, end), revenue, show, spill_dir)
        result = run_audit(settings, request, on_progress)
    if as_json:
        print_json(result.to_dict())
    else:
        print_result(result)
    ctx.exit(ExitCode.OK if result.ok else ExitCode.DIFFERENCE)
