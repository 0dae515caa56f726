"""What the rules would make of a window, without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.contract import Identity
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.core.time_window import Window
from pipeline.errors import RefusedError
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
from pipeline.reconcile.compare.dry_run import DryRunCounts, Rehearsal
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.compare.run import Compared, CompareOptions, Comparison
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters, processor_for
from pipeline.reconcile.ranges import OutputPartition, Plan, RawPartition
from pipeline.replay.capture import captured_ranges
from pipeline.replay.file_scan import FileScan, replayed_records
from pipeline.replay.outputs import compared_topics
from pipeline.replay.request import ReplayRequest
from pipeline.replay.window_offsets import Ranges
from pipeline.settings.model import Settings
from pipeline.topics import require_permission
from pipeline.wiring import APP, WallClock, admin, range_reader


@dataclass(frozen=True)
class DryRunPlan:
    """What is processed without being written, and what the results are compared with."""

    settings: Settings
    ranges: Ranges
    """Offsets of the raw topic; of files only the window counts."""
    filters: Filters = EVERY_EVENT
    most: int | None = None
    """Number of selected records to stop after; None is no limit."""
    compared: dict[Role, str] = field(default_factory=dict)
    """The topics that results are compared with; empty only counts the results."""
    options: CompareOptions = field(default_factory=CompareOptions)
    newly_invalid: FileOutput | None = None
    """File that lists the newly invalid events."""
    spill_dir: Path | None = None
    files: tuple[str, ...] = ()
    """Files of raw records to read instead of the raw topic."""
    received_at: int | None = None
    """Kafka timestamp of lines that have none, in epoch milliseconds."""
    scan: FileScan | None = None
    """What was found in these files, where they are those of a replay."""

    def selects(self) -> Callable[[Record], bool] | None:
        """Return the test for records of the window; None when all are."""
        window, filters = self.ranges.window, self.filters
        if filters.is_empty:
            return (lambda record: window.holds(record.timestamp)) if window.is_bounded else None
        return lambda record: window.holds(record.timestamp) and filters.means(record)


@dataclass(frozen=True)
class DryRunResult:
    """What the rules make of the window, and how that compares with what is there."""

    counts: DryRunCounts
    report: Report | None
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
    plan = _plan_of(request)
    processor, rehearsal = rehearsal_of(plan)
    report = None
    if plan.compared:
        with Verdicts(plan.spill_dir) as verdicts:
            report = compare(plan, processor, rehearsal, verdicts, on_progress)
    elif plan.files:
        rehearsal.run(_records(plan))
    else:
        _count(plan, rehearsal, on_progress)
    notes = (*plan.ranges.warnings, *plan.ranges.notes)
    return DryRunResult(rehearsal.counts, report, processor.contract, notes)


def _plan_of(request: ReplayRequest) -> DryRunPlan:
    if request.files:
        check_inputs(list(request.files))
        found = Ranges((), Window(request.start.time, request.end.time))
    else:
        cluster = admin(request.settings)
        cluster.wait_until_reachable()
        found, _ = captured_ranges(request, cluster)
    dropped = tuple(request.settings.dead_letter.redrive_drop_headers)
    return DryRunPlan(
        request.settings,
        found,
        request.filters,
        request.max_records,
        compared_topics(request),
        CompareOptions(request.show, request.reveal, dropped),
        request.newly_invalid,
        request.spill_dir,
        request.files,
        request.received_at,
    )


def rehearsal_of(plan: DryRunPlan) -> tuple[Processor, Rehearsal]:
    """Make the rules, and what counts what they make of the window."""
    identity = Identity(app=APP, group=plan.settings.group)
    processor = processor_for(plan.settings, identity, plan.filters)
    return processor, Rehearsal(processor, WallClock().now(), plan.selects(), plan.most)


def _count(plan: DryRunPlan, rehearsal: Rehearsal, on_progress: OnProgress | None) -> None:
    topic = plan.settings.topics.raw
    ranges = {(topic, part.partition): (part.start, part.end) for part in plan.ranges.parts}
    progress = Gauge("processing the raw records", ranges, on_progress)
    rehearsal.run(progress.passing(range_reader(plan.settings).read(ranges)))
    if not rehearsal.is_full():
        progress.finished()


def _records(plan: DryRunPlan) -> Iterator[Record]:
    if plan.scan is not None:
        yield from (record for _, record in replayed_records(plan.scan))
        return
    for name in plan.files:
        with open_input(name) as opened:
            yield from read_records(opened.input, plan.received_at)


def compare(
    plan: DryRunPlan,
    processor: Processor,
    rehearsal: Rehearsal,
    verdicts: Verdicts,
    on_progress: OnProgress | None,
) -> Report:
    """Compare the window with the topics; the differences are in `verdicts`, and saved."""
    captured, reader = _compared(plan), range_reader(plan.settings)
    records = _records(plan) if plan.files else None
    comparison = Comparison(captured, processor, rehearsal, verdicts, plan.options)
    listed = plan.newly_invalid
    with nullcontext() if listed is None else whole_output(listed) as file:
        report = comparison.run(reader, plan.spill_dir, on_progress, records)
        if file is not None:
            topics, reveal = captured.plan.topics, plan.options.reveal
            file.writelines(newly_invalid_lines(verdicts, topics, reveal=reveal))
    if Role.DEAD_LETTER not in captured.plan.topics:
        report.notes.append(
            "dead letters were not looked at (--compare-dead-letters names their topic): what is "
            "newly valid may also have been missing"
        )
    return report


def _compared(plan: DryRunPlan) -> Compared:
    """What results are compared with, as it is now: first what is committed, then all ends."""
    settings, cluster = plan.settings, admin(plan.settings)
    cluster.wait_until_reachable()
    topics, raw_topic = plan.compared, settings.topics.raw
    facts = _existing(cluster, [*topics.values(), *([] if plan.files else [raw_topic])])
    # Of files nobody knows when they were written: all of them may be there.
    is_live = topics[Role.ENRICHED] == settings.topics.enriched and not plan.files
    committed = cluster.committed(settings.group, raw_topic) if is_live else {}
    raw = {} if plan.files else _raw(plan, cluster)
    outputs: dict[tuple[str, int], OutputPartition] = {
        (topic, number): part
        for role, topic in topics.items()
        for number, part in output_partitions(
            cluster, settings, facts[topic], role, plan.ranges.window
        ).items()
    }
    width = facts[topics[Role.ENRICHED] if plan.files else raw_topic].partitions
    maps = {role: PartitionMap(width, facts[topic].partitions) for role, topic in topics.items()}
    return Compared(
        Plan(settings.group, raw_topic, topics, raw, outputs, plan.ranges.window),
        lambda role, partition, key: maps[role].target(partition, key) if role in maps else -1,
        committed or None,
        settings.accept_origin_headers,
        lambda record: plan.filters.items(record.value),
    )


def _existing(cluster: Admin, names: list[str]) -> dict[str, TopicFacts]:
    facts = cluster.topics(names)
    absent = [name for name in names if name not in facts]
    if absent:
        raise RefusedError(
            f"topics do not exist: {', '.join(absent)}; are the names right (--compare, "
            "--compare-dead-letters, --raw-topic)?"
        )
    require_permission(facts.values(), "READ")
    return facts


def _raw(plan: DryRunPlan, cluster: Admin) -> dict[int, RawPartition]:
    """The window; copies of its records may be anywhere up to the end of the topic."""
    extents = cluster.extents(plan.settings.topics.raw, stable=True)
    raw = {}
    for part in plan.ranges.parts:
        begin, end = extents.get(part.partition, (part.start, part.end))
        raw[part.partition] = RawPartition(begin, part.start, part.end, max(end, part.end))
    return raw
