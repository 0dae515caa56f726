"""What the rules would make of a window, without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from pipeline.core.formats import with_plain_json
from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.files.archived_records import read_records
from pipeline.files.lines import check_inputs, open_input
from pipeline.files.outputs import FileOutput, whole_output
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare import (
    CompareRequest,
    CompareResult,
    ComparisonReport,
    DifferenceStore,
    compare,
    make_dry_run,
)
from pipeline.reconcile.compare.corrections import newly_invalid_lines
from pipeline.reconcile.compare.dry_run import DryRunCounts, DryRunProcessor
from pipeline.replay.capture import captured_ranges
from pipeline.replay.file_scan import FileScan, replayed_records
from pipeline.replay.outputs import compared_topics
from pipeline.replay.plan import Part
from pipeline.replay.request import ReplayRequest
from pipeline.replay.window_offsets import WindowRanges
from pipeline.settings.model import Settings
from pipeline.wiring import admin, formats, range_reader


@dataclass(frozen=True)
class DryRunPlan:
    """What is processed without being written, and what the results are compared with."""

    settings: Settings
    compared: CompareRequest
    """The raw records, and the topics that results are compared with; of files only the window
    counts. Without topics the results are only counted."""
    newly_invalid: FileOutput | None = None
    """File that lists the newly invalid events."""
    files: tuple[str, ...] = ()
    """Files of raw records to read instead of the raw topic."""
    received_at: int | None = None
    """Kafka timestamp of lines that have none, in epoch milliseconds."""
    scan: FileScan | None = None
    """What was found in these files, where they are those of a replay."""


@dataclass(frozen=True)
class DryRunResult:
    """What the rules make of the window, and how that compares with what is there."""

    counts: DryRunCounts
    report: ComparisonReport | None
    """The comparison; None when there was nothing to compare with."""
    contract: str
    """`version;hash` of the rules."""
    notes: tuple[str, ...]
    """What is to be said about the window, a sentence each."""

    @property
    def is_same(self) -> bool:
        """Whether no difference was found; a dry run that compares nothing finds none."""
        return self.report is None or self.report.same


def dry_run(request: ReplayRequest, on_progress: OnProgress | None = None) -> DryRunResult:
    """Run the rules over the window of the request; nothing is written but `newly_invalid`.

    Raises RefusedError when a topic is missing or may not be read, TransportError, and OSError.
    """
    found = _captured(request)
    notes = (*found.warnings, *found.notes)
    plan = DryRunPlan(
        request.settings,
        CompareRequest(
            compared_topics(request),
            found.window,
            offsets_of(found.parts),
            request.filters,
            request.max_records,
            request.show,
            request.reveal,
            request.spill_dir,
        ),
        request.newly_invalid,
        request.files,
        request.received_at,
    )
    if plan.compared.topics:
        with DifferenceStore(request.spill_dir) as differences:
            result = compare_window(plan, differences, on_progress)
        return DryRunResult(result.counts, result.report, result.contract, notes)
    counted = _count(plan, on_progress)
    return DryRunResult(counted.counts, None, counted.contract, notes)


def _captured(request: ReplayRequest) -> WindowRanges:
    if request.files:
        check_inputs(list(request.files))
        return WindowRanges((), Window(request.start.time, request.end.time))
    cluster = admin(request.settings)
    cluster.wait_until_reachable()
    found, _ = captured_ranges(request, cluster)
    return found


def offsets_of(parts: Iterable[Part]) -> dict[int, tuple[int, int]]:
    """Return partition → first offset and the one after the last, as a comparison takes them."""
    return {part.partition: (part.start, part.end) for part in parts}


def _count(plan: DryRunPlan, on_progress: OnProgress | None) -> DryRunProcessor:
    settings, wanted = plan.settings, plan.compared
    counted = make_dry_run(
        settings, wanted.window, wanted.filters, wanted.limit, of_topic=not plan.files
    )
    if plan.files:
        counted.run(_records(plan))
        return counted
    offsets = wanted.offsets or {}
    ranges = {(settings.topics.raw, number): each for number, each in offsets.items()}
    progress = Gauge("processing the raw records", ranges, on_progress)
    counted.run(progress.passing(range_reader(settings).read(ranges)))
    if not counted.is_full():
        progress.finished()
    return counted


def _records(plan: DryRunPlan) -> Iterator[Record]:
    if plan.scan is not None:
        yield from (record for _, record in replayed_records(plan.scan))
        return
    for name in plan.files:
        with open_input(name) as opened:
            yield from read_records(opened.input, plan.received_at)


def compare_window(
    plan: DryRunPlan, differences: DifferenceStore, on_progress: OnProgress | None
) -> CompareResult:
    """Compare the window with the topics, save the differences, and list newly invalid events."""
    wanted, listed = plan.compared, plan.newly_invalid
    records = _records(plan) if plan.files else None
    with nullcontext() if listed is None else whole_output(listed) as file:
        result = compare(
            plan.settings, wanted, on_progress, records=records, differences=differences
        )
        if file is not None:
            read = with_plain_json(formats(plan.settings, writes=False)).read
            lines = newly_invalid_lines(differences, wanted.topics, read, reveal=wanted.reveal)
            file.writelines(lines)
    return result
