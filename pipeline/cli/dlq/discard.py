"""`track-pipeline dlq discard`: marks dead letters as resolved."""

from __future__ import annotations

import click

from pipeline.cli.dlq.marking import EXECUTION_FLAGS, plan_and_mark, with_marking
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.help import Command
from pipeline.cli.options import Parsed, utf8_text
from pipeline.cli.output import print_notice
from pipeline.dlq.marking import MarkOptions, prepare_discard
from pipeline.dlq.request import DlqRequest


@click.command(
    cls=Command,
    groups=groups({"Execution": EXECUTION_FLAGS}),
    examples={
        "Discard the events of a load test": (
            'track-pipeline dlq discard --event "Load Test" --because "load test" --execute'
        )
    },
)
@dlq_command
@click.option(
    "--because",
    required=True,
    type=Parsed("text", utf8_text),
    metavar="TEXT",
    help="Reason that `dlq history` shows.",
)
@with_marking
def discard(  # noqa: PLR0913  one for each option
    request: DlqRequest,
    display: Display,
    because: str,
    *,
    everything: bool,
    most: int,
    execute: bool,
) -> None:
    """Mark dead letters as resolved, so that they are left out from then on (--all shows them).

    Nothing is deleted: they stay in their topic until its retention ends, and `dlq restore` undoes
    it. Shows the plan unless --execute is given.
    """
    options = MarkOptions(because, everything, most)
    job = prepare_discard(request, options, on_notice=print_notice)
    plan_and_mark(job, "discard", display, execute=execute)
