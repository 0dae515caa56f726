"""`track-pipeline replay --dry-run`: what the rules would make of a window; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.dry_run_view import plain, print_result
from pipeline.cli.replay.options import Asked
from pipeline.core.escape import escaped
from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.errors import ExitCode
from pipeline.files.archived_records import read_records
from pipeline.files.lines import open_input, refuse_unusable
from pipeline.files.outputs import FileOutput, whole_output
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare import (
    CompareRequest,
    CompareResult,
    DifferenceStore,
    compare,
    make_dry_run,
)
from pipeline.reconcile.compare.comparison import CompareOptions
from pipeline.reconcile.compare.corrections import newly_invalid_lines
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters
from pipeline.replay.capture import captured_ranges
from pipeline.replay.file_scan import Survey, records_of
from pipeline.replay.outputs import compared_topics
from pipeline.replay.window_offsets import Ranges
from pipeline.settings.model import Settings
from pipeline.wiring import admin, range_reader
from pipeline.worker.memory_tuning import tune_memory


@dataclass(frozen=True)
class DryRun:
    """What is to be rehearsed, and what with."""

    settings: Settings
    ranges: Ranges
    """Of the raw topic; of files only its window counts."""
    filters: Filters = EVERY_EVENT
    most: int | None = None
    """Records at most."""
    compare: str | None = None
    """Topic of enriched events that results are held against; None: they are only counted."""
    compare_letters: str | None = None
    """Topic of their dead letters; None: the one that belongs to `compare`, if that is known."""
    options: CompareOptions = field(default_factory=CompareOptions)
    newly_invalid: FileOutput | None = None
    """Where the newly invalid events are listed."""
    spill_dir: Path | None = None
    as_json: bool = False
    files: tuple[str, ...] = ()
    """Raw records of these instead of the raw topic."""
    received_at: int | None = None
    """When they were received, where they do not say it, epoch milliseconds."""
    survey: Survey | None = None
    """Of these files, where they are those of a replay."""


def rehearse(asked: Asked) -> None:
    """Do the dry run that was asked for; ends the program with its exit code."""
    settings = asked.settings
    if asked.files:
        refuse_unusable(list(asked.files))
        found = Ranges((), Window(asked.start.time, asked.end.time))
    else:
        cluster = admin(settings)
        cluster.wait_until_reachable()
        found, _ = captured_ranges(asked, cluster)
    dropped = tuple(settings.dead_letter.redrive_drop_headers)
    code = dry_run(
        DryRun(
            settings,
            found,
            asked.filters,
            asked.most,
            asked.compare,
            asked.compare_letters,
            CompareOptions(asked.show, asked.reveal, dropped),
            asked.newly_invalid,
            asked.spill_dir,
            asked.as_json,
            asked.files,
            asked.received_at,
        )
    )
    raise click.exceptions.Exit(code)


def dry_run(asked: DryRun) -> ExitCode:
    """Run the rules over the window and print what comes of it.

    ExitCode.OK, or ExitCode.DIFFERENCE when a comparison has found any difference. Raises
    RefusedError when a topic is missing or may not be read, TransportError, and OSError.
    """
    tune_memory()
    report = None
    with shown_progress(Console(stderr=True)) as on_progress:
        if asked.compare is not None:
            with DifferenceStore(asked.spill_dir) as differences:
                result = compared(asked, differences, on_progress)
            report, counts, contract = result.report, result.counts, result.contract
        else:
            settings, window = asked.settings, asked.ranges.window
            counted = make_dry_run(settings, window, asked.filters, asked.most)
            if asked.files:
                counted.run(_records(asked))
            else:
                _count(asked, counted, on_progress)
            counts, contract = counted.counts, counted.contract
    said = [*asked.ranges.warnings, *asked.ranges.notes]
    if asked.as_json:
        document = plain(counts, report, contract, said)
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
    else:
        print_result(counts, report, said)
    return ExitCode.OK if report is None or report.same else ExitCode.DIFFERENCE


def _count(asked: DryRun, rehearsal: DryRunProcessor, on_progress: OnProgress) -> None:
    topic = asked.settings.topics.raw
    ranges = {(topic, part.partition): (part.start, part.end) for part in asked.ranges.parts}
    gauge = Gauge("processing the raw records", ranges, on_progress)
    rehearsal.run(gauge.passing(range_reader(asked.settings).read(ranges)))
    if not rehearsal.is_full():
        gauge.finished()


def _records(asked: DryRun) -> Iterator[Record]:
    if asked.survey is not None:
        yield from (record for _, record in records_of(asked.survey))
        return
    for name in asked.files:
        with open_input(name) as opened:
            yield from read_records(opened.input, asked.received_at)


def compared(asked: DryRun, differences: DifferenceStore, on_progress: OnProgress) -> CompareResult:
    """Hold the window against the topics; the differences are in `differences`, and saved."""
    settings, options, listed = asked.settings, asked.options, asked.newly_invalid
    topics = compared_topics(settings, asked.compare, asked.compare_letters)
    request = CompareRequest(
        topics,
        asked.ranges.window,
        {part.partition: (part.start, part.end) for part in asked.ranges.parts},
        asked.filters,
        asked.most,
        options.show,
        options.reveal,
        asked.spill_dir,
    )
    records = _records(asked) if asked.files else None
    with nullcontext() if listed is None else whole_output(listed) as file:
        result = compare(settings, request, on_progress, records=records, differences=differences)
        if file is not None:
            file.writelines(newly_invalid_lines(differences, topics, reveal=options.reveal))
    return result
