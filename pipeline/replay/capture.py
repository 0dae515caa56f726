"""What a replay would do, captured from a cluster: ranges of offsets, samples of them, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline import __version__
from pipeline.cli.replay.options import Asked
from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.errors import RefusedError, SettingsError
from pipeline.identity import stamp, whoami
from pipeline.kafka import Admin
from pipeline.kafka.offsets_by_time import first_records_at
from pipeline.ports import TopicFacts
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.file_scan import Survey
from pipeline.replay.outputs import Outputs, compared_topics, output_names, outputs
from pipeline.replay.plan import Part, Plan, Target
from pipeline.replay.plan_settings import kept_settings, settings_hash
from pipeline.replay.window_offsets import Extent, Ranges, ranges, why_empty
from pipeline.settings.model import Settings
from pipeline.topics import refuse_forbidden
from pipeline.wiring import WallClock, admin, range_reader, topic_names

_SAMPLED: Final = 50
"""Offsets at each end of a partition's range."""


@dataclass(frozen=True)
class Sample:
    """What a few records of a range's ends tell; None: there were none."""

    first: int | None
    """Time of the first record, epoch milliseconds."""
    last: int | None
    bytes_each: float | None
    """Mean size of key and value."""


@dataclass(frozen=True)
class Outlook:
    """A plan, and what people want to know before they agree."""

    plan: Plan
    samples: Mapping[int, Sample]
    outputs: Outputs
    empty: Mapping[int, str]
    """Partition → why nothing of it is replayed."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    replication: int
    survey: Survey | None = None
    """Of files that are replayed."""
    report: ComparisonReport | None = None
    """Of a correction run that is only planned: what differs."""


def captured_ranges(asked: Asked, cluster: Admin) -> tuple[Ranges, Mapping[int, Extent]]:
    """Which raw offsets are meant, fixed now; SettingsError when the bounds do not fit."""
    topic = asked.settings.topics.raw
    facts = cluster.topics([topic])
    if topic not in facts:
        raise RefusedError(f"topic {topic} does not exist; is its name right (--raw-topic)?")
    refuse_forbidden(facts.values(), "READ")
    extents = _extents(asked, cluster, topic)

    def oldest(number: int) -> int | None:
        begin, end = extents[number].begin, extents[number].end
        sample = {(topic, number): (begin, min(end, begin + _SAMPLED))}
        first = next(range_reader(asked.settings).read(sample), None)
        return None if first is None else first.timestamp

    try:
        return ranges(topic, extents, asked.start, asked.end, oldest), extents
    except ValueError as error:
        raise SettingsError([str(error)]) from error


def _extents(asked: Asked, cluster: Admin, topic: str) -> dict[int, Extent]:
    """Up to what is committed now: records of transactions that are open come later."""
    start, end = asked.start.time, asked.end.time
    found = cluster.extents(topic, stable=True)
    firsts = {} if start is None else cluster.offsets_at(topic, start)
    lasts = {number: last for number, (_, last) in found.items()}
    if end is not None:
        reader = range_reader(asked.settings)
        lasts = first_records_at(cluster, reader, topic, end + asked.slack_ms, lasts)
    return {
        number: Extent(begin, last, min(last, firsts.get(number, last)), lasts[number])
        for number, (begin, last) in found.items()
    }


def capture(asked: Asked) -> Outlook:
    """Make a plan; nothing is written. TransportError, SettingsError, DataLossError."""
    settings, now = asked.settings, WallClock().now()
    id_ = stamp(now)
    cluster = admin(settings)
    cluster.wait_until_reachable()
    found, extents = captured_ranges(asked, cluster)
    names = output_names(asked, id_)
    facts = cluster.topics({*topic_names(settings), *names.values()})
    samples = _samples(settings, found.parts)
    firsts = [sample.first for sample in samples.values() if sample.first is not None]
    raw = facts[settings.topics.raw]
    where = outputs(asked, id_, facts, raw, min(firsts, default=None), now)
    plan = replace(
        new_plan(asked, id_, now, where),
        raw_topic=raw.name,
        raw_topic_id=raw.id,
        raw_partitions=raw.partitions,
        parts=found.parts,
        slots=min(asked.workers or 1, max(1, len(found.parts))),
        slack_ms=asked.slack_ms if asked.end.time is not None else 0,
    )
    empty = {
        part.partition: why_empty(plan.raw_topic, extents[part.partition], asked.start, asked.end)
        for part in found.parts
        if not part.offsets
    }
    return Outlook(
        plan,
        samples,
        where,
        empty,
        (*found.warnings, *where.warnings),
        found.notes,
        max(1, raw.replication),
    )


def new_plan(asked: Asked, id_: str, now: int, where: Outputs) -> Plan:
    """A plan in which only what is read is missing."""
    settings = asked.settings
    return Plan(
        id=id_,
        raw_topic="",
        raw_topic_id="",
        raw_partitions=0,
        parts=(),
        outputs={role: Target(name) for role, name in where.topics.items()},
        contract=settings.contract(),
        settings=settings_hash(settings),
        kept=kept_settings(settings),
        version=__version__,
        created_at=now,
        created_by=whoami(),
        transactional_id_prefix=settings.transactional_id_prefix,
        window=Window(asked.start.time, asked.end.time),
        filters=asked.filters,
        rate=asked.rate,
        most=asked.most,
        max_invalid_ratio=asked.ratio,
        breaker=bool(asked.breaker),
        only=tuple(sorted(kind.value for kind in asked.only)),
        compared=compared_topics(settings, asked.compare, asked.compare_letters),
    )


def _samples(settings: Settings, parts: tuple[Part, ...]) -> dict[int, Sample]:
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


def _sample(number: int, firsts: list[Record], lasts: list[Record]) -> Sample:
    head = [record for record in firsts if record.partition == number]
    tail = [record for record in lasts if record.partition == number]
    sizes = [len(record.value or b"") + len(record.key or b"") for record in (*head, *tail)]
    return Sample(
        head[0].timestamp if head else None,
        tail[-1].timestamp if tail else None,
        sum(sizes) / len(sizes) if sizes else None,
    )


def refuse_other_topic(plan: Plan, facts: Mapping[str, TopicFacts]) -> None:
    """RefusedError unless the raw topic is still the one that was planned for."""
    topic = facts.get(plan.raw_topic)
    if topic is None:
        raise RefusedError(f"topic {plan.raw_topic}, which replay {plan.id} reads, does not exist")
    if plan.raw_topic_id and topic.id and topic.id != plan.raw_topic_id:
        raise RefusedError(
            f"topic {plan.raw_topic} was deleted and created anew: the offsets of replay {plan.id} "
            "are those of the old one. Make a new replay"
        )
