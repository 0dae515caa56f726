"""`track-pipeline replay cancel ID`: no process can go on with a replay any more."""

from __future__ import annotations

import click

from pipeline.cli.options import with_settings
from pipeline.cli.output import print_line
from pipeline.replay.cancel import cancel as cancel_replay
from pipeline.settings.model import Settings


@click.command()
@click.argument("id_", metavar="ID")
@with_settings("--bootstrap-servers", needs_kafka=True)
def cancel(settings: Settings, *, id_: str) -> None:
    """Stop a replay for good: a process that works on it ends, and nobody can resume it.

    What it has written stays, and so do its topics: `replay delete ID` removes them.
    """
    cancel_replay(settings, id_)
    print_line(f"cancelled replay {id_}; what it has written stays")
    print_line(f"to delete it: track-pipeline replay delete {id_}")
