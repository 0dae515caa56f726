"""A correction run compares before it writes: in each process that executes or resumes it, anew.

The differences are in a temporary file of the first process, which those of the slots open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.core.record import Role
from pipeline.files.outputs import FileOutput
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.dry_run import DryRun, compared
from pipeline.replay.file_scan import Survey
from pipeline.replay.plan import Plan
from pipeline.replay.window_offsets import Ranges
from pipeline.settings.model import Settings


@contextmanager
def differences(
    settings: Settings,
    plan: Plan,
    newly_invalid: FileOutput | None,
    spill_dir: Path | None,
    survey: Survey | None,
) -> Iterator[Path]:
    """The file of what differs while the context lasts.

    `survey` is of the plan's files, if it has any. Says on standard error what differs. Raises
    TransportError, RefusedError, OSError.
    """
    with DifferenceStore(spill_dir, shared=True) as verdicts:
        report = _compared(settings, plan, newly_invalid, spill_dir, survey, verdicts)
        written = " and ".join(plan.only)
        click.echo(f"{differences_sentence(report)} {written} are written", err=True)
        yield verdicts.path


def counted_differences(
    settings: Settings, plan: Plan, spill_dir: Path | None, survey: Survey | None
) -> ComparisonReport:
    """The same comparison for a plan that is only shown; nothing is kept of it."""
    with DifferenceStore(spill_dir) as verdicts:
        return _compared(settings, plan, None, spill_dir, survey, verdicts)


def _compared(  # noqa: PLR0913, PLR0917  what a comparison is made of
    settings: Settings,
    plan: Plan,
    newly_invalid: FileOutput | None,
    spill_dir: Path | None,
    survey: Survey | None,
    verdicts: DifferenceStore,
) -> ComparisonReport:
    files = plan.archive.files if plan.archive else ()
    if newly_invalid is not None:
        paths = (file.path for file in files)
        newly_invalid = newly_invalid._replace(inputs=(*newly_invalid.inputs, *paths))
    asked = DryRun(
        settings,
        Ranges(plan.parts, plan.window),
        plan.filters,
        plan.most,
        compare=plan.compared[Role.ENRICHED],
        compare_letters=plan.compared.get(Role.DEAD_LETTER),
        newly_invalid=newly_invalid,
        spill_dir=spill_dir,
        files=tuple(file.name for file in files),
        survey=survey,
    )
    with shown_progress(Console(stderr=True)) as on_progress:
        return compared(asked, verdicts, on_progress).report
