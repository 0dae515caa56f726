"""`track-pipeline dlq redrive`: sends the events of dead letters again, never twice."""

from __future__ import annotations

import click

from pipeline.cli.dlq.execute import NOT_WRITTEN, execute_job, execute_option, most_option
from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.dlq.plan_view import PlanView
from pipeline.cli.dlq.repair_options import REPAIR_FLAGS, with_repair
from pipeline.cli.help import Command
from pipeline.cli.options import RATE
from pipeline.cli.output import print_notice
from pipeline.dlq.redrive_plan import (
    ENRICHED,
    RAW,
    SOURCE,
    RedriveJob,
    RedriveOptions,
    prepare_redrive,
)
from pipeline.dlq.repair import Repair
from pipeline.dlq.request import DlqRequest
from pipeline.errors import ExitCode

rate_option = click.option("--rate", type=RATE, help="Maximum number of dead letters per second.")
force_option = click.option(
    "--force", is_flag=True, help="Allow other rules than those of the live worker."
)
replay_option = click.option(
    "--replay",
    metavar="ID",
    help="Redrive dead letters of this replay, to its output. For a topic that is named after a "
    "replay, it is that one.",
)


@click.command(
    cls=Command,
    groups=groups(
        {
            "Execution": ["--execute", "--max", "--rate"],
            "Repair": REPAIR_FLAGS,
            "What to send, and where": [
                "--to",
                "--max-attempts",
                "--reinsert-failing",
                "--replay",
                "--force",
            ],
        }
    ),
    examples={
        "Show the plan after a fix was deployed": (
            "track-pipeline dlq redrive --reason revenue_invalid"
        ),
        "Execute it": "track-pipeline dlq redrive --reason revenue_invalid --execute",
        "Repair the events first": (
            "track-pipeline dlq redrive --reason currency_invalid \\\n"
            "    --set /properties/currency=EUR --execute"
        ),
    },
)
@dlq_command
@with_repair
@click.option(
    "--to",
    type=click.Choice([ENRICHED, RAW, SOURCE]),
    default=ENRICHED,
    show_default=True,
    help="enriched: processed here, with the original coordinates and times. raw: through the "
    "worker once more, which must accept origin headers. source: dead letters of other systems, as "
    "they were, back to the topic that they name.",
)
@rate_option
@most_option("send")
@click.option("--max-attempts", type=click.IntRange(1), help="Leave out what failed this often.")
@click.option(
    "--reinsert-failing",
    is_flag=True,
    help="Write events that fail again as new dead letters, with one more attempt.",
)
@replay_option
@force_option
@execute_option
@click.pass_context
def redrive(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    request: DlqRequest,
    display: Display,
    repair: Repair,
    *,
    to: str,
    rate: float | None,
    most: int,
    max_attempts: int | None,
    reinsert_failing: bool,
    replay: str | None,
    force: bool,
    execute: bool,
) -> None:
    """Send events that pass now to the enriched topic; shows the plan unless --execute is given.

    Each event is sent once, also when the command is killed, started again, or started twice: the
    ledger says what was sent, and is written in the same transaction. Events that fail are counted
    and stay.

    Exit code 0 when all selected dead letters were or would be sent, 1 when some are left.
    """
    options = RedriveOptions(repair, to, replay, max_attempts, reinsert_failing, force, rate, most)
    with reading_progress() as on_progress:
        job = prepare_redrive(request, options, on_progress=on_progress, on_notice=print_notice)
    left = plan_and_execute(request, display, job, execute=execute)
    ctx.exit(ExitCode.DIFFERENCE if left else ExitCode.OK)


def plan_and_execute(
    request: DlqRequest, display: Display, job: RedriveJob, *, execute: bool
) -> int:
    """Show the plan, and execute it if requested; returns how many dead letters are left."""
    with reading_progress() as on_progress:
        plan = job.plan(on_progress)
    PlanView(job, plan, display).print()
    job.refuse_too_many(plan)
    left = plan.not_sent.total()
    if execute and job.planned(plan):
        left += execute_job(job, plan, as_json=display.as_json)
    elif job.planned(plan):
        print_notice(NOT_WRITTEN)
    note_coverage(request, job.coverage, plan.send + left)
    return left
