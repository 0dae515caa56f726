"""What of a record's outputs a replay writes, noted in a file before anything is written.

A correction run compares before it writes: in each process that executes or resumes it, anew. The
file is made by the first process, and opened by those of the slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.core.record import Record
from pipeline.files.outputs import FileOutput
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.corrections import Corrections
from pipeline.reconcile.compare.difference_store import SavedVerdicts, Verdicts
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.event_filters import Choice
from pipeline.replay.capture import PlanPreview
from pipeline.replay.dry_run import DryRunPlan, compare, rehearsal_of
from pipeline.replay.file_scan import FileScan, replayed_records
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.raw_copies import Copies, LastCopies
from pipeline.replay.request import ReplayRequest
from pipeline.replay.run import ReplayRun
from pipeline.replay.window_offsets import Ranges
from pipeline.settings.model import Settings
from pipeline.wiring import admin, range_reader


@contextmanager
def noted_selection(run: ReplayRun) -> Iterator[Path | None]:
    """Note in a file what is to be written; None when that is everything.

    Raises TransportError, RefusedError, OSError.
    """
    if run.plan.only:
        with Verdicts(run.spill_dir, shared=True) as verdicts:
            report = _compared(run, verdicts)
            run.hooks.on_comparison(report)
            yield verdicts.path
    elif run.settings.accept_origin_headers:
        with Copies(run.spill_dir) as copies:
            count = copies.note(_selected_records(run))
            copies.save()
            if count:
                run.hooks.on_notice(
                    f"{count:,} records are copies: of each event the last one is written"
                )
            yield copies.path if count else None
    else:
        yield None


@contextmanager
def selection(plan: ReplayPlan, file: Path | None) -> Iterator[Choice | None]:
    """Open what chooses among the outputs of a slot; None when all are written."""
    if file is None:
        yield None
    elif plan.only:
        with SavedVerdicts(file) as verdicts:
            yield Corrections(verdicts, plan.only, plan.compared)
    else:
        with LastCopies(file) as copies:
            yield copies


def preview_correction(
    request: ReplayRequest, preview: PlanPreview, on_progress: OnProgress | None = None
) -> PlanPreview:
    """Add to the preview of a correction run what differs; nothing else is kept of it."""
    with Verdicts(request.spill_dir) as verdicts:
        wanted = _dry_run_plan(
            request.settings, preview.plan, preview.scan, None, request.spill_dir
        )
        processor, rehearsal = rehearsal_of(wanted)
        report = compare(wanted, processor, rehearsal, verdicts, on_progress)
    return replace(preview, report=report)


def _compared(run: ReplayRun, verdicts: Verdicts) -> Report:
    plan = _dry_run_plan(run.settings, run.plan, run.scan, run.newly_invalid, run.spill_dir)
    processor, rehearsal = rehearsal_of(plan)
    return compare(plan, processor, rehearsal, verdicts, run.hooks.on_progress)


def _dry_run_plan(
    settings: Settings,
    plan: ReplayPlan,
    scan: FileScan | None,
    newly_invalid: FileOutput | None,
    spill_dir: Path | None,
) -> DryRunPlan:
    files = plan.archive.files if plan.archive else ()
    if newly_invalid is not None:
        paths = (file.path for file in files)
        newly_invalid = newly_invalid._replace(inputs=(*newly_invalid.inputs, *paths))
    return DryRunPlan(
        settings,
        Ranges(plan.parts, plan.window),
        plan.filters,
        plan.most,
        plan.compared,
        newly_invalid=newly_invalid,
        spill_dir=spill_dir,
        files=tuple(file.name for file in files),
        scan=scan,
    )


def _selected_records(run: ReplayRun) -> Iterator[Record]:
    """Read the records of a replay, all slots together, as far as retention has left them."""
    plan, selects = run.plan, run.plan.selects()
    if run.scan is None:
        topic = plan.raw_topic
        extents = admin(run.settings).extents(topic)
        ranges = {
            (topic, part.partition): (max(part.start, extents[part.partition][0]), part.end)
            for part in plan.parts
        }
        progress = Gauge("looking for copies", ranges, run.hooks.on_progress)
        records = progress.passing(range_reader(run.settings).read(ranges))
    else:
        records = (record for _, record in replayed_records(run.scan))
    return records if selects is None else filter(selects, records)
