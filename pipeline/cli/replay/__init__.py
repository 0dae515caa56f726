"""`track-pipeline replay …`: the same rules over a chosen window of the raw topic."""

from __future__ import annotations

import os
from typing import Any, Final

import click

from pipeline.cli.help import Command
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
from pipeline.worker.processes import inherited_handles

_PACKAGE: Final = "pipeline.cli.replay"
_LISTED: Final = {
    "list": Listed(f"{_PACKAGE}.list", "List replays.", "list_replays"),
    "status": Listed(f"{_PACKAGE}.status", "Show how far a replay is."),
    "cancel": Listed(f"{_PACKAGE}.cancel", "Stop a replay for good."),
    "delete": Listed(f"{_PACKAGE}.delete", "Delete what a replay has left."),
}


_GROUPS: Final = {
    "What to do": ("--execute", "--dry-run", "--resume", "--force", "--rate", "--workers"),
    "Which events": (
        "--from",
        "--to",
        "--slack",
        "--event",
        "--library",
        "--user",
        "--message-id",
        "--value",
        "--max",
        "--from-file",
        "--received-at",
    ),
    "Where it writes": ("--output", "--into-live", "--identify"),
    "When it stops": ("--max-invalid-ratio", "--breaker"),
    "Comparison and corrections": (
        "--compare",
        "--compare-dead-letters",
        "--only",
        "--newly-invalid",
        "--overwrite",
        "--show",
        "--reveal",
        "--spill-dir",
    ),
    "Connection and topics": ("--config", *PIPELINE_FLAGS),
}
_EXAMPLES: Final = {
    "What would be replayed of the last three days? Nothing is written": (
        "track-pipeline replay --from 3d"
    ),
    "Replay them into topics of their own, with four processes": (
        "track-pipeline replay --from 3d --workers 4 --execute"
    ),
    "Go on with a replay that was interrupted": (
        "track-pipeline replay --resume 20261123T023109Z-5e3a"
    ),
    "What would a change of settings alter?": (
        "track-pipeline replay --config change.toml --from 1d \\\n"
        "    --dry-run --compare track.enriched"
    ),
    "Write only what it alters": (
        "track-pipeline replay --config change.toml --from 1d \\\n"
        "    --only changed,newly-valid --execute"
    ),
    "Replay events of an archive": (
        "track-pipeline replay --from-file archive.ndjson.gz --execute"
    ),
}


class _Replay(CommandTree, Command):
    """A command with sub-commands, whose help shows its options in groups."""


@click.group(
    cls=_Replay,
    listed=_LISTED,
    groups=_GROUPS,
    examples=_EXAMPLES,
    invoke_without_command=True,
)
@with_settings(*PIPELINE_FLAGS)
@with_options(*SOURCE, *FILES, *EXECUTION, *DRY_RUN, JSON)
def replay(settings: Settings, **flags: Any) -> None:  # noqa: ANN401  click's
    """Run the rules again over a window of the raw topic, or over files, beside the live worker.

    Without --execute it only prints its plan. A replay has a consumer group and output topics of
    its own, writes exactly once, and can be resumed after any interruption.

    The exit code is 0 when everything was written and verified, and 1 when the outputs do not add
    up. With --dry-run and --compare it is 0 when nothing differs, and 1 when anything does.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    invocation, place = read_invocation(settings, flags), inherited_handles(os.environ)
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
