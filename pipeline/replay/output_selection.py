"""What of a record's outputs a replay writes, noted in a file before anything is written.

A correction run compares before it writes: in each process that executes or resumes it, anew. The
file is made by the first process, and opened by those of the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.core.contract import Identity
from pipeline.core.formats import with_plain_json
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.files.outputs import FileOutput
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare import CompareRequest
from pipeline.reconcile.compare.corrections import Corrections
from pipeline.reconcile.compare.difference_store import DifferenceStore, SavedDifferences
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.event_filters import OutputSelector
from pipeline.replay.capture import PlanPreview
from pipeline.replay.dry_run import DryRunPlan, compare_window, offsets_of
from pipeline.replay.file_scan import FileScan, replayed_records
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.raw_copies import Copies, LastCopies
from pipeline.replay.request import ReplayRequest
from pipeline.replay.run import ReplayRun
from pipeline.settings.model import Settings
from pipeline.wiring import APP, admin, formats, range_reader


@contextmanager
def noted_selection(run: ReplayRun) -> Iterator[Path | None]:
    """Note in a file what is to be written; None when that is everything.

    Raises TransportError, RefusedError, OSError.
    """
    if run.plan.only:
        with DifferenceStore(run.spill_dir, shared=True) as differences:
            report = _compared(run, differences)
            run.hooks.on_comparison(report, run.plan)
            yield differences.path
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
def selection(plan: ReplayPlan, file: Path | None) -> Iterator[OutputSelector | None]:
    """Open what chooses among the outputs of a slot; None when all are written."""
    if file is None:
        yield None
    elif plan.only:
        with SavedDifferences(file) as differences:
            yield Corrections(differences, plan.only, plan.compared)
    else:
        with LastCopies(file) as copies:
            yield copies


def preview_correction(
    request: ReplayRequest, preview: PlanPreview, on_progress: OnProgress | None = None
) -> PlanPreview:
    """Add to the preview of a correction run what differs; nothing else is kept of it."""
    plan = _dry_run_plan(request.settings, preview.plan, preview.scan, None, request.spill_dir)
    with DifferenceStore(request.spill_dir) as differences:
        result = compare_window(plan, differences, on_progress)
    return replace(preview, report=result.report)


def _compared(run: ReplayRun, differences: DifferenceStore) -> ComparisonReport:
    plan = _dry_run_plan(run.settings, run.plan, run.scan, run.newly_invalid, run.spill_dir)
    return compare_window(plan, differences, run.hooks.on_progress).report


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
        CompareRequest(
            plan.compared,
            plan.window,
            offsets_of(plan.parts),
            plan.filters,
            plan.most,
            spill_dir=spill_dir,
        ),
        newly_invalid=newly_invalid,
        files=tuple(file.name for file in files),
        scan=scan,
    )


def _text_of(run: ReplayRun) -> Callable[[Record], bytes | None]:
    """Return what reads a record of the replay as JSON text."""
    reads = formats(run.settings, writes=False)
    if run.plan.archive is not None:
        reads = with_plain_json(reads)
    return Processor(run.settings, Identity(app=APP), reads).text


def _selected_records(run: ReplayRun) -> Iterator[Record]:
    """Read the records of a replay, all slots together, as far as retention has left them."""
    plan = run.plan
    selects = plan.selects(_text_of(run))
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
