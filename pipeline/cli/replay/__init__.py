"""`track-pipeline replay …`: the same rules over a chosen window of the raw topic."""

from __future__ import annotations

import os
from typing import Any, Final

import click

from pipeline.cli.main import CommandTree, Listed
from pipeline.cli.options import PIPELINE_FLAGS, require_kafka, with_settings
from pipeline.cli.replay.options import (
    DRY_RUN,
    EXECUTION,
    FILES,
    JSON,
    SOURCE,
    read_invocation,
    refuse_files,
    with_options,
)
from pipeline.settings.model import Settings
from pipeline.worker.processes import inherited_place

_PACKAGE: Final = "pipeline.cli.replay"
_LISTED: Final = {
    "list": Listed(f"{_PACKAGE}.list", "List replays.", "list_replays"),
    "status": Listed(f"{_PACKAGE}.status", "Show how far a replay is."),
    "cancel": Listed(f"{_PACKAGE}.cancel", "Stop a replay for good."),
}


@click.group(cls=CommandTree, listed=_LISTED, invoke_without_command=True)
@with_settings(*PIPELINE_FLAGS)
@with_options(*SOURCE, *FILES, *EXECUTION, *DRY_RUN, JSON)
def replay(settings: Settings, **flags: Any) -> None:  # noqa: ANN401  click's
    """Run the rules over a window of the raw topic again, or over files, beside the live worker.

    Without --execute it only says what it would do. It has a consumer group and output topics of
    its own, writes exactly once, and goes on after any interruption: --resume ID.

    Exit code 0 when all is done and the topics hold just that, 1 when they do not. With --dry-run
    and --compare it is 0 when nothing differs, 1 when anything does.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    invocation, place = read_invocation(settings, flags), inherited_place(os.environ)
    if place is None:  # else the process that has started this one has looked at them
        refuse_files(invocation.request)
    if invocation.needs_kafka:
        require_kafka(settings)
    # Imported only now: the sub-commands need nothing of it.
    if place is not None:
        from pipeline.cli.replay.command import run_as_slot  # noqa: PLC0415

        run_as_slot(settings, place)
    elif invocation.dry_run:
        from pipeline.cli.replay.dry_run import show_dry_run  # noqa: PLC0415

        show_dry_run(invocation)
    else:
        from pipeline.cli.replay.command import plan_or_replay  # noqa: PLC0415

        plan_or_replay(invocation)


def _refuse_options(ctx: click.Context) -> None:
    """An option before the name of a sub-command would be of no effect."""
    source = click.core.ParameterSource.COMMANDLINE
    for name in ctx.params:
        if ctx.get_parameter_source(name) is source:
            raise click.UsageError(
                f"options of `replay {ctx.invoked_subcommand}` stand behind its name"
            )
