"""Runs a comparison on a cluster: what would be different under the settings given?

Guarantees: a comparison only reads; it joins no consumer group and writes to no topic.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from pipeline.core.contract import Identity
from pipeline.core.formats import with_plain_json
from pipeline.core.record import Record, Role
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.progress import OnProgress
from pipeline.reconcile.compare.capture import capture
from pipeline.reconcile.compare.comparison import Comparison
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.dry_run import DryRunCounts, DryRunProcessor
from pipeline.reconcile.compare.field_diff import CompareOptions
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.compare.request import CompareRequest
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters, processor_for, selection
from pipeline.reconcile.json_outputs import JsonOutputs
from pipeline.settings.model import Settings
from pipeline.wiring import (
    APP,
    WallClock,
    formats,
    output_reader,
    range_reader,
)


@dataclass(frozen=True)
class CompareResult:
    """What a comparison has found."""

    report: ComparisonReport
    counts: DryRunCounts
    """Outcomes of the processed records."""
    contract: str
    """`version;hash` of the rules under which they were processed."""


def compare(
    settings: Settings,
    request: CompareRequest,
    on_progress: OnProgress | None = None,
    *,
    records: Iterable[Record] | None = None,
    differences: DifferenceStore | None = None,
) -> CompareResult:
    """Process raw records under these settings, and compare the results with the outputs.

    `records` are read instead of the raw topic, in any order. Differences are saved to
    `differences`, or else forgotten. Raises RefusedError when a topic is missing or may not be
    read, TransportError, and OSError when the temporary files can't be written.
    """
    target = capture(settings, request, is_whole_topic=records is None)
    dry_run = make_dry_run(
        settings, request.window, request.filters, request.limit, of_topic=records is None
    )
    if not request.filters.is_empty:
        text = dry_run.processor.text
        target = replace(target, items=lambda record: request.filters.items(text(record)))
    outputs = JsonOutputs(
        range_reader(settings), output_reader(settings), [target.ranges.topics[Role.ENRICHED]]
    )
    dropped = tuple(settings.dead_letter.redrive_drop_headers)
    options = CompareOptions(request.show, request.reveal, dropped)
    opened = DifferenceStore(request.spill_dir) if differences is None else nullcontext(differences)
    with opened as store:
        comparison = Comparison(target, dry_run, store, options)
        report = comparison.run(outputs, request.spill_dir, on_progress, records)
    report.notes += outputs.notes()
    if Role.DEAD_LETTER not in target.ranges.topics:
        report.notes.append(
            "dead letters were not compared (--compare-dead-letters names their topic): newly "
            "valid events may also have been missing"
        )
    return CompareResult(report, dry_run.counts, dry_run.contract)


def make_dry_run(
    settings: Settings,
    window: Window = ALL_TIME,
    filters: Filters = EVERY_EVENT,
    limit: int | None = None,
    *,
    of_topic: bool = True,
) -> DryRunProcessor:
    """Make what processes raw records under these settings and counts the outcomes.

    Its outputs are JSON, whatever the form of the output topics. Records that are not `of_topic`
    are those of files.
    """
    read = formats(settings, writes=False)
    identity = Identity(app=APP, group=settings.group)
    processor = processor_for(
        settings, identity, filters, read if of_topic else with_plain_json(read)
    )
    is_selected = selection(window, filters, processor.text)
    return DryRunProcessor(processor, WallClock().now(), is_selected, limit)
