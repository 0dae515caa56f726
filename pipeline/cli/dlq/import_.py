"""`track-pipeline dlq import`: sends the events of an export, edited or not."""

from __future__ import annotations

import click

from pipeline.cli.dlq.execute import execute_option, most_option
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.dlq.redrive import force_option, plan_and_execute, rate_option, replay_option
from pipeline.cli.help import Command
from pipeline.cli.output import print_notice
from pipeline.dlq.import_file import prepare_import
from pipeline.dlq.redrive_plan import RedriveOptions
from pipeline.dlq.request import DlqRequest
from pipeline.errors import ExitCode
from pipeline.files.outputs import check_redirection


@click.command(
    "import",
    cls=Command,
    groups=groups(
        {
            "Execution": ["--execute", "--max", "--rate"],
            "What to send, and where": ["--replay", "--force"],
        }
    ),
    examples={
        "Export, edit, and send the events again": (
            "track-pipeline dlq export --reveal --output bad.ndjson\n"
            "track-pipeline dlq import - --execute < bad.ndjson"
        )
    },
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@dlq_command
@rate_option
@most_option("send")
@replay_option
@force_option
@execute_option
@click.pass_context
def import_dead_letters(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    request: DlqRequest,
    display: Display,
    *,
    file: str,
    rate: float | None,
    most: int,
    replay: str | None,
    force: bool,
    execute: bool,
) -> None:
    """Send the events of an edited export through the rules; shows the plan unless --execute.

    FILE is what `dlq export --reveal` wrote; a pipe, or - for standard input, is copied to a
    temporary file first. As with redrive, each event is sent once.

    Exit code 0 when all were or would be sent, 1 when some are left.
    """
    check_redirection([str(file)])
    options = RedriveOptions(replay=replay, force=force, rate=rate, most=most)
    with prepare_import(request, file, options, on_notice=print_notice) as job:
        left = plan_and_execute(request, display, job, execute=execute)
    ctx.exit(ExitCode.DIFFERENCE if left else ExitCode.OK)
