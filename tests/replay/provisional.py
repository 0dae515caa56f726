"""The program with a command `replay` that knows dry runs alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli import COMMANDS, main
from pipeline.command_tree import Listed
from pipeline.commands.options import PIPELINE_FLAGS, with_settings
from pipeline.commands.replay.dry_run import OPTIONS, DryRun, dry_run
from pipeline.commands.replay.options import JSON, SOURCE, filters_of, with_options
from pipeline.replay.bounds import Bound, Extent, Ranges, ranges
from pipeline.replay.compare import CompareOptions
from pipeline.settings import Settings
from pipeline.wiring import admin


@click.command()
@with_settings(*PIPELINE_FLAGS, needs_kafka=True)
@with_options(*SOURCE, *OPTIONS, JSON)
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    settings: Settings,
    *,
    start: Bound,
    end: Bound,
    slack_ms: int,
    dry_run: bool,
    show: int,
    reveal: bool,
    **given: Any,
) -> None:
    """Replay, without writing."""
    assert dry_run
    filters = filters_of(given)
    options = CompareOptions(show, reveal, tuple(settings.dead_letter.redrive_drop_headers))
    found = _ranges(settings, start, end, slack_ms)
    wanted = DryRun(settings, found, filters, options=options, **given)
    ctx.exit(_dry_run(wanted))


_dry_run = dry_run


def _ranges(settings: Settings, start: Bound, end: Bound, slack_ms: int) -> Ranges:
    cluster, topic = admin(settings), settings.topics.raw
    cluster.wait_until_reachable()
    starts = cluster.offsets_at(topic, start.time) if start.time else {}
    ends = cluster.offsets_at(topic, end.time + slack_ms) if end.time else {}
    extents = {
        number: Extent(begin, last, starts.get(number, last), ends.get(number, last))
        for number, (begin, last) in cluster.extents(topic).items()
    }
    return ranges(topic, extents, start, end, lambda _: None)


def program(folder: Path, interpreter: str) -> Path:
    """An executable `track-pipeline` in a folder of that name's `bin`."""
    file = folder / "bin" / "track-pipeline"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec "{interpreter}" -m {LISTED.module} "$@"\n')
    file.chmod(0o755)
    return file


LISTED = Listed("tests.replay.provisional", "Replay.")

if __name__ == "__main__":
    COMMANDS["replay"] = LISTED
    main()
