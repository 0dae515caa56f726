"""`track-pipeline replay --dry-run`: what the rules would make of a window."""

from __future__ import annotations

import click

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.dry_run_view import print_document, print_result
from pipeline.cli.replay.options import Invocation
from pipeline.errors import ExitCode
from pipeline.replay.dry_run import dry_run
from pipeline.worker.memory_tuning import tune_memory


def show_dry_run(invocation: Invocation) -> None:
    """Print what comes of the window; exit code 1 when a comparison has found any difference."""
    tune_memory()
    with shown_progress() as on_progress:
        result = dry_run(invocation.request, on_progress)
    if invocation.as_json:
        print_document(result)
    else:
        print_result(result)
    if not result.is_same:
        raise click.exceptions.Exit(ExitCode.DIFFERENCE)
