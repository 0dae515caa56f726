"""`track-pipeline replay --dry-run`: what the rules would make of a window; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.dry_run_view import plain, print_result
from pipeline.cli.replay.options import Asked
from pipeline.core.contract import Identity
from pipeline.core.escape import escaped
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.core.time_window import Window
from pipeline.errors import ExitCode, RefusedError
from pipeline.files.archived_records import read_records
from pipeline.files.lines import check_inputs, open_input
from pipeline.files.outputs import FileOutput, whole_output
from pipeline.kafka import Admin
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import TopicFacts
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.audit.capture import output_partitions
from pipeline.reconcile.compare.corrections import newly_invalid_lines
from pipeline.reconcile.compare.difference_store import Verdicts
from pipeline.reconcile.compare.dry_run import Rehearsal
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.compare.run import Compared, CompareOptions, Comparison
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters, processor_for
from pipeline.reconcile.ranges import OutputPartition, Plan, RawPartition
from pipeline.replay.capture import captured_ranges
from pipeline.replay.file_scan import Survey, records_of
from pipeline.replay.outputs import compared_topics
from pipeline.replay.window_offsets import Ranges
from pipeline.settings.model import Settings
from pipeline.topics import refuse_forbidden
from pipeline.wiring import APP, WallClock, admin, range_reader
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

    def is_meant(self) -> Callable[[Record], bool] | None:
        """Tells the records of the window; None when all are."""
        window, filters = self.ranges.window, self.filters
        if filters.is_empty:
            return (lambda record: window.holds(record.timestamp)) if window.is_bounded else None
        return lambda record: window.holds(record.timestamp) and filters.means(record)


def rehearse(asked: Asked) -> None:
    """Do the dry run that was asked for; ends the program with its exit code."""
    settings = asked.settings
    if asked.files:
        check_inputs(list(asked.files))
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
    processor, rehearsal = rehearsal_of(asked)
    report = None
    with shown_progress(Console(stderr=True)) as on_progress:
        if asked.compare is not None:
            with Verdicts(asked.spill_dir) as verdicts:
                report = compared(asked, processor, rehearsal, verdicts, on_progress)
        elif asked.files:
            rehearsal.run(_records(asked))
        else:
            _count(asked, rehearsal, on_progress)
    said = [*asked.ranges.warnings, *asked.ranges.notes]
    if asked.as_json:
        document = plain(rehearsal.counts, report, processor.contract, said)
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
    else:
        print_result(rehearsal.counts, report, said)
    return ExitCode.OK if report is None or report.same else ExitCode.DIFFERENCE


def rehearsal_of(asked: DryRun) -> tuple[Processor, Rehearsal]:
    """The rules, and what counts what they make of the window."""
    identity = Identity(app=APP, group=asked.settings.group)
    processor = processor_for(asked.settings, identity, asked.filters)
    return processor, Rehearsal(processor, WallClock().now(), asked.is_meant(), asked.most)


def _count(asked: DryRun, rehearsal: Rehearsal, on_progress: OnProgress) -> None:
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


def compared(
    asked: DryRun,
    processor: Processor,
    rehearsal: Rehearsal,
    verdicts: Verdicts,
    on_progress: OnProgress,
) -> Report:
    """Hold the window against the topics; the differences are in `verdicts`, and saved."""
    captured, reader = capture(asked), range_reader(asked.settings)
    records = _records(asked) if asked.files else None
    comparison = Comparison(captured, processor, rehearsal, verdicts, asked.options)
    listed = asked.newly_invalid
    with nullcontext() if listed is None else whole_output(listed) as file:
        report = comparison.run(reader, asked.spill_dir, on_progress, records)
        if file is not None:
            topics, reveal = captured.plan.topics, asked.options.reveal
            file.writelines(newly_invalid_lines(verdicts, topics, reveal=reveal))
    if Role.DEAD_LETTER not in captured.plan.topics:
        report.notes.append(
            "dead letters were not looked at (--compare-dead-letters names their topic): what is "
            "newly valid may also have been missing"
        )
    return report


def capture(asked: DryRun) -> Compared:
    """What results are held against, as it is now: first what is committed, then all ends."""
    settings, cluster = asked.settings, admin(asked.settings)
    cluster.wait_until_reachable()
    topics = compared_topics(settings, asked.compare, asked.compare_letters)
    raw_topic = settings.topics.raw
    facts = _existing(cluster, [*topics.values(), *([] if asked.files else [raw_topic])])
    # Of files nobody knows when they were written: all of them may be there.
    is_live = topics[Role.ENRICHED] == settings.topics.enriched and not asked.files
    committed = cluster.committed(settings.group, raw_topic) if is_live else {}
    raw = {} if asked.files else _raw(asked, cluster)
    outputs: dict[tuple[str, int], OutputPartition] = {
        (topic, number): part
        for role, topic in topics.items()
        for number, part in output_partitions(
            cluster, settings, facts[topic], role, asked.ranges.window
        ).items()
    }
    width = facts[topics[Role.ENRICHED] if asked.files else raw_topic].partitions
    maps = {role: PartitionMap(width, facts[topic].partitions) for role, topic in topics.items()}
    plan = Plan(settings.group, raw_topic, topics, raw, outputs, asked.ranges.window)
    return Compared(
        plan,
        lambda role, partition, key: maps[role].target(partition, key) if role in maps else -1,
        committed or None,
        settings.accept_origin_headers,
        lambda record: asked.filters.items(record.value),
    )


def _existing(cluster: Admin, names: list[str]) -> dict[str, TopicFacts]:
    facts = cluster.topics(names)
    absent = [name for name in names if name not in facts]
    if absent:
        raise RefusedError(
            f"topics do not exist: {', '.join(absent)}; are the names right (--compare, "
            "--compare-dead-letters, --raw-topic)?"
        )
    refuse_forbidden(facts.values(), "READ")
    return facts


def _raw(asked: DryRun, cluster: Admin) -> dict[int, RawPartition]:
    """The window; copies of its records may be anywhere up to the end of the topic."""
    extents = cluster.extents(asked.settings.topics.raw, stable=True)
    raw = {}
    for part in asked.ranges.parts:
        begin, end = extents.get(part.partition, (part.start, part.end))
        raw[part.partition] = RawPartition(begin, part.start, part.end, max(end, part.end))
    return raw
