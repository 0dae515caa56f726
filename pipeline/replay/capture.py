"""What a replay would do, captured from a cluster and from files; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline import __version__
from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.errors import RefusedError, SettingsError
from pipeline.identity import stamp, whoami
from pipeline.kafka import Admin
from pipeline.kafka.offsets_by_time import first_records_at
from pipeline.ports import TopicFacts
from pipeline.progress import OnProgress
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.file_reader import PARTITION
from pipeline.replay.file_scan import FileScan, scan_files
from pipeline.replay.file_source import Archive
from pipeline.replay.outputs import OutputTopics, compared_topics, output_names, output_topics
from pipeline.replay.plan import Part, ReplayPlan, Target
from pipeline.replay.plan_settings import plan_settings, settings_hash
from pipeline.replay.request import ReplayRequest
from pipeline.replay.window_offsets import Extent, WindowRanges, ranges, why_empty
from pipeline.settings.model import Settings
from pipeline.topics import require_permission
from pipeline.wiring import WallClock, admin, range_reader, topic_names

_SAMPLED: Final = 50
"""Offsets that are read at each end of a partition's range: one fetch, whatever the size."""


_MAY_BE_REJECTED: Final = frozenset({DifferenceKind.MISSING.value, DifferenceKind.REDRIVEN.value})
"""Differences of events that the rules may reject; then the difference has a reason."""


@dataclass(frozen=True)
class CaptureSample:
    """What a few records at the ends of a range say; None where there are no records."""

    first: int | None
    """Time of the first record, in epoch milliseconds."""
    last: int | None
    bytes_each: float | None
    """Mean size of key and value."""


@dataclass(frozen=True)
class PlanPreview:
    """A plan, and what people want to know before they agree to it."""

    plan: ReplayPlan
    samples: Mapping[int, CaptureSample]
    outputs: OutputTopics
    empty: Mapping[int, str]
    """Partition → why nothing of it is replayed."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    replication: int
    scan: FileScan | None = None
    """What was found in the files, if files are replayed."""
    report: ComparisonReport | None = None
    """What differs, if a correction run was compared for its preview."""

    @property
    def corrections(self) -> Mapping[str, int]:
        """How many enriched events a correction run would write, by kind of difference.

        A missing or redriven event that is rejected now is not among them: there is nothing to
        write. Identify messages come with the events that they belong to.
        """
        if self.report is None:
            return {}
        rejected = Counter[str]()
        for (kind, _), number in self.report.reasons.items():
            if kind in _MAY_BE_REJECTED:
                rejected[kind] += number
        kinds = self.report.kinds
        return {kind: kinds[kind] - rejected[kind] for kind in self.plan.only}


def capture(request: ReplayRequest, on_progress: OnProgress | None = None) -> PlanPreview:
    """Plan a replay; nothing is written.

    Raises TransportError, SettingsError, UnusableFileError, and DataLossError.
    """
    cluster = admin(request.settings)
    cluster.wait_until_reachable()
    if request.files:
        return _capture_files(request, cluster, on_progress)
    return _capture_topic(request, cluster)


def _capture_topic(request: ReplayRequest, cluster: Admin) -> PlanPreview:
    settings, now = request.settings, WallClock().now()
    id_ = stamp(now)
    found, extents = captured_ranges(request, cluster)
    names = output_names(request, id_)
    facts = cluster.topics({*topic_names(settings), *names.values()})
    samples = _samples(settings, found.parts)
    firsts = [sample.first for sample in samples.values() if sample.first is not None]
    raw = facts[settings.topics.raw]
    outputs = output_topics(request, names, facts, raw, min(firsts, default=None), now)
    plan = replace(
        _new_plan(request, id_, now, outputs),
        raw_topic=raw.name,
        raw_topic_id=raw.id,
        raw_partitions=raw.partitions,
        parts=found.parts,
        slots=min(request.workers or 1, max(1, len(found.parts))),
        slack_ms=request.slack_ms if request.end.time is not None else 0,
    )
    empty = {
        part.partition: why_empty(
            plan.raw_topic, extents[part.partition], request.start, request.end
        )
        for part in found.parts
        if not part.offsets
    }
    return PlanPreview(
        plan,
        samples,
        outputs,
        empty,
        (*found.warnings, *outputs.warnings),
        found.notes,
        max(1, raw.replication),
    )


def captured_ranges(
    request: ReplayRequest, cluster: Admin
) -> tuple[WindowRanges, Mapping[int, Extent]]:
    """Fix which raw offsets are replayed; SettingsError when the bounds do not fit."""
    topic = request.settings.topics.raw
    facts = cluster.topics([topic])
    if topic not in facts:
        raise RefusedError(f"topic {topic} does not exist; is its name right (--raw-topic)?")
    require_permission(facts.values(), "READ")
    extents = _extents(request, cluster, topic)

    def oldest(number: int) -> int | None:
        begin, end = extents[number].begin, extents[number].end
        sample = {(topic, number): (begin, min(end, begin + _SAMPLED))}
        first = next(range_reader(request.settings).read(sample), None)
        return None if first is None else first.timestamp

    try:
        return ranges(topic, extents, request.start, request.end, oldest), extents
    except ValueError as error:
        raise SettingsError([str(error)]) from error


def _extents(request: ReplayRequest, cluster: Admin, topic: str) -> dict[int, Extent]:
    """Up to what is committed now: records of transactions that are open come later."""
    start, end = request.start.time, request.end.time
    found = cluster.extents(topic, stable=True)
    firsts = {} if start is None else cluster.offsets_at(topic, start)
    lasts = {number: last for number, (_, last) in found.items()}
    if end is not None:
        reader = range_reader(request.settings)
        lasts = first_records_at(cluster, reader, topic, end + request.slack_ms, lasts)
    return {
        number: Extent(begin, last, min(last, firsts.get(number, last)), lasts[number])
        for number, (begin, last) in found.items()
    }


def _new_plan(request: ReplayRequest, id_: str, now: int, outputs: OutputTopics) -> ReplayPlan:
    """A plan in which only what is read is missing."""
    settings = request.settings
    return ReplayPlan(
        id=id_,
        raw_topic="",
        raw_topic_id="",
        raw_partitions=0,
        parts=(),
        outputs={role: Target(name) for role, name in outputs.topics.items()},
        contract=settings.contract(),
        settings=settings_hash(settings),
        kept=plan_settings(settings),
        version=__version__,
        created_at=now,
        created_by=whoami(),
        transactional_id_prefix=settings.transactional_id_prefix,
        window=Window(request.start.time, request.end.time),
        filters=request.filters,
        rate=request.rate,
        most=request.max_records,
        max_invalid_ratio=request.invalid_ratio,
        breaker=bool(request.breaker),
        only=tuple(sorted(kind.value for kind in request.only)),
        compared=compared_topics(request),
    )


def _samples(settings: Settings, parts: tuple[Part, ...]) -> dict[int, CaptureSample]:
    topic = settings.topics.raw
    heads = {
        (topic, part.partition): (part.start, min(part.end, part.start + _SAMPLED))
        for part in parts
    }
    tails = {
        (topic, part.partition): (max(part.start, part.end - _SAMPLED), part.end) for part in parts
    }
    reader = range_reader(settings)
    firsts, lasts = list(reader.read(heads)), list(reader.read(tails))
    return {part.partition: _sample(part.partition, firsts, lasts) for part in parts}


def _sample(number: int, firsts: list[Record], lasts: list[Record]) -> CaptureSample:
    head = [record for record in firsts if record.partition == number]
    tail = [record for record in lasts if record.partition == number]
    sizes = [len(record.value or b"") + len(record.key or b"") for record in (*head, *tail)]
    return CaptureSample(
        head[0].timestamp if head else None,
        tail[-1].timestamp if tail else None,
        sum(sizes) / len(sizes) if sizes else None,
    )


def _capture_files(
    request: ReplayRequest, cluster: Admin, on_progress: OnProgress | None
) -> PlanPreview:
    settings, now = request.settings, WallClock().now()
    id_ = stamp(now)
    names = output_names(request, id_)
    scan = scan_files(request.files, request.received_at, request.spill_dir, on_progress)
    facts = cluster.topics({*topic_names(settings), *names.values()})
    raw = _model_of_outputs(settings, facts, scan.archive)
    outputs = output_topics(request, names, facts, raw, scan.first, now)
    plan = replace(
        _new_plan(request, id_, now, outputs),
        parts=(Part(PARTITION, 0, scan.archive.lines),),
        archive=scan.archive,
    )
    return PlanPreview(
        plan,
        {},
        outputs,
        {},
        (*outputs.warnings, *_moved(scan.archive, outputs), *_scan_warnings(scan)),
        (),
        max(1, raw.replication),
        scan,
    )


def _model_of_outputs(
    settings: Settings, facts: Mapping[str, TopicFacts], archive: Archive
) -> TopicFacts:
    """The raw topic, whose like the outputs are; without one as many partitions as are archived."""
    name = settings.topics.raw
    visible = [facts[each] for each in (name, settings.topics.enriched) if each in facts]
    unknown = TopicFacts(name, max(1, archive.partitions), 1, {})
    return next((topic for topic in visible if topic.partitions), unknown)


def _moved(archive: Archive, outputs: OutputTopics) -> list[str]:
    """Outputs in which archived records can't keep their partitions."""
    counts = {spec.name: spec.partitions for spec in outputs.new}
    counts |= {name: topic.partitions for name, topic in outputs.existing.items()}
    return [
        f"{name} has {count} partitions, but the archived records come from {archive.partitions} "
        "or more: keys move to other partitions"
        for name, count in counts.items()
        if 0 < count < archive.partitions
    ]


def _scan_warnings(scan: FileScan) -> list[str]:
    said = []
    if scan.repeated.count:
        said.append(
            f"{scan.repeated.count:,} records are archived more than once: the first line of each "
            "counts"
        )
    if scan.without_time:
        said.append(
            f"{scan.without_time:,} lines do not say when they were received: give --received-at "
            "TIME, or events that do not say it either get a time in 1970"
        )
    return said
