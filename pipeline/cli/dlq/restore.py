"""`track-pipeline dlq restore`: undoes a discard."""

from __future__ import annotations

import click

from pipeline.cli.dlq.marking import EXECUTION_FLAGS, plan_and_mark, with_marking
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.help import Command
from pipeline.cli.options import Parsed, utf8_text
from pipeline.cli.output import print_notice
from pipeline.dlq.marking import MarkOptions, prepare_restore
from pipeline.dlq.request import DlqRequest


@click.command(
    cls=Command,
    groups=groups({"Execution": ["--id", *EXECUTION_FLAGS]}),
    examples={
        "Undo one discard, whose id is in the history": (
            "track-pipeline dlq restore --id discard-20261123T023109Z-5e3a --execute"
        )
    },
)
@dlq_command
@click.option("--id", "discard_id", metavar="ID", help="Only what this discard has discarded.")
@click.option(
    "--because",
    default="",
    type=Parsed("text", utf8_text),
    metavar="TEXT",
    help="Reason that `dlq history` shows.",
)
@with_marking
def restore(  # noqa: PLR0913  one for each option
    request: DlqRequest,
    display: Display,
    discard_id: str | None,
    because: str,
    *,
    everything: bool,
    most: int,
    execute: bool,
) -> None:
    """Make discarded dead letters pending again: they are listed, and redrive sends their events.

    What was redriven stays as it is. Shows the plan unless --execute is given.
    """
    options = MarkOptions(because, everything, most)
    job = prepare_restore(request, options, discard_id, on_notice=print_notice)
    plan_and_mark(job, "restore", display, execute=execute)
