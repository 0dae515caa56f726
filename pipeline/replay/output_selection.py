"""What of a record's outputs a replay writes, noted in a file before anything is written.

The file is made by the first process, and opened by those of the slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from pipeline.cli.progress import shown_progress
from pipeline.core.record import Record
from pipeline.files.outputs import FileOutput
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.corrections import Corrections
from pipeline.reconcile.compare.difference_store import SavedDifferences
from pipeline.reconcile.event_filters import OutputSelector
from pipeline.replay.correction_run import differences
from pipeline.replay.file_scan import Survey, records_of
from pipeline.replay.plan import Plan
from pipeline.replay.raw_copies import Copies, LastCopies
from pipeline.settings.model import Settings
from pipeline.wiring import admin, range_reader


@contextmanager
def noted_choice(
    settings: Settings,
    plan: Plan,
    newly_invalid: FileOutput | None,
    spill_dir: Path | None,
    survey: Survey | None,
) -> Iterator[Path | None]:
    """The file while the context lasts; None when everything is written.

    `survey` is of the plan's files, if it has any. Raises TransportError, RefusedError, OSError.
    """
    if plan.only:
        with differences(settings, plan, newly_invalid, spill_dir, survey) as file:
            yield file
    elif settings.accept_origin_headers:
        with Copies(spill_dir) as copies:
            with shown_progress(Console(stderr=True)) as on_progress:
                count = copies.note(_meant(settings, plan, survey, on_progress))
            copies.save()
            if count:
                click.echo(f"{count:,} records are copies; of each event the last counts", err=True)
            yield copies.path if count else None
    else:
        yield None


@contextmanager
def choice(plan: Plan, file: Path | None) -> Iterator[OutputSelector | None]:
    """What chooses among the outputs of a slot; None when all are written."""
    if file is None:
        yield None
    elif plan.only:
        with SavedDifferences(file) as verdicts:
            yield Corrections(verdicts, plan.only, plan.compared)
    else:
        with LastCopies(file) as copies:
            yield copies


def _meant(
    settings: Settings, plan: Plan, survey: Survey | None, on_progress: OnProgress
) -> Iterator[Record]:
    """The records of a replay, all slots together, as far as retention has left them."""
    means = plan.means()
    if survey is None:
        topic = plan.raw_topic
        extents = admin(settings).extents(topic)
        ranges = {
            (topic, part.partition): (max(part.start, extents[part.partition][0]), part.end)
            for part in plan.parts
        }
        gauge = Gauge("looking for copies", ranges, on_progress)
        records = gauge.passing(range_reader(settings).read(ranges))
    else:
        records = (record for _, record in records_of(survey))
    return records if means is None else filter(means, records)
