"""What an audit reads, captured from a cluster: committed offsets first, then the ends."""

from __future__ import annotations

from typing import Final

from pipeline.core.time_window import Window
from pipeline.errors import DataLossError, SettingsError
from pipeline.kafka import Admin
from pipeline.kafka.offsets_by_time import first_records, first_records_at
from pipeline.ports import Reader, TopicFacts
from pipeline.reconcile.capture import OUT_OF_ORDER_MS, TIME_TYPE, output_partitions
from pipeline.reconcile.ranges import AuditRanges, RawPartition
from pipeline.settings.model import Settings
from pipeline.topics import TopicNames
from pipeline.wiring import range_reader

_NAMED: Final = 3


def capture(
    settings: Settings,
    cluster: Admin,
    names: TopicNames,
    facts: dict[str, TopicFacts],
    window: Window,
) -> AuditRanges:
    """Capture all offsets; the outputs of everything below the committed ones are in the ranges.

    Raises SettingsError when the group has committed nothing, DataLossError when what it has
    committed does not fit the raw topic, and TransportError.
    """
    committed = cluster.committed(settings.group, names.raw)
    if not committed:
        raise SettingsError([_nothing_committed(settings.group, names.raw)])
    topics = names.outputs(settings)
    return AuditRanges(
        group=settings.group,
        raw_topic=names.raw,
        topics=topics,
        outputs=output_partitions(cluster, settings, topics, facts, window),
        raw=_raw(settings, cluster, committed, window),
        window=window,
        stamped_by_broker=frozenset(
            role
            for role, topic in topics.items()
            if facts[topic].config.get(TIME_TYPE) == "LogAppendTime"
        ),
        raw_is_compacted="compact" in facts[names.raw].config.get("cleanup.policy", "delete"),
    )


def _nothing_committed(group: str, topic: str) -> str:
    return (
        f"group: {group} has committed no offsets of topic {topic}, so there is nothing to audit: "
        "is it the worker's group (--group), and has a worker run?"
    )


def _raw(
    settings: Settings, cluster: Admin, committed: dict[int, int], window: Window
) -> dict[int, RawPartition]:
    topic = settings.topics.raw
    # Records of open transactions can't be read, and nothing is written for them.
    extents = cluster.extents(topic, stable=True)
    firsts = {} if window.start is None else cluster.offsets_at(topic, window.start)
    done = {number: committed.get(number, begin) for number, (begin, _) in extents.items()}
    for number, (_, last) in extents.items():
        if done[number] > last:
            raise DataLossError(
                f"{topic}/{number} ends at offset {last}, but the group has committed "
                f"{done[number]}: the topic was deleted and created again, or truncated; its "
                "outputs can't be audited"
            )
    reader = range_reader(settings)
    if window.end is None:
        ends = _skip_markers(reader, topic, done, extents)
    else:
        ends = first_records_at(cluster, reader, topic, window.end + OUT_OF_ORDER_MS, done)
    parts = {}
    for number, (begin, last) in extents.items():
        first = begin if window.start is None else min(firsts.get(number, last), done[number])
        parts[number] = RawPartition(begin, max(begin, first), max(begin, ends[number]), last)
    return parts


def _skip_markers(
    reader: Reader, topic: str, done: dict[int, int], extents: dict[int, tuple[int, int]]
) -> dict[int, int]:
    """Return the committed offsets, or the end of a partition when no record follows them.

    The worker commits the position after transaction markers and aborted records a moment after
    the position after the last record; a worker that was killed in between has not done so.
    """
    rest = {number: (max(begin, done[number]), end) for number, (begin, end) in extents.items()}
    unread = first_records(reader, topic, rest)
    return {number: at if number in unread else rest[number][1] for number, at in done.items()}


def notes(ranges: AuditRanges) -> list[str]:
    """Say what the audit can't see, one sentence each."""
    found = []
    deleted = {number: part.begin for number, part in ranges.raw.items() if part.begin}
    if deleted and ranges.window.start is None:
        found.append(
            f"retention has deleted the first raw records ({_named(ranges.raw_topic, deleted)}): "
            "their events can't be audited"
        )
    ahead = sum(part.last - part.end for part in ranges.raw.values())
    if ahead and ranges.window.end is None:
        offsets = "offset: its" if ahead == 1 else f"{ahead:,} offsets: their"
        found.append(f"the group has not committed the last {offsets} outputs are not audited")
    if ranges.stamped_by_broker:
        topics = ", ".join(sorted(ranges.topics[role] for role in ranges.stamped_by_broker))
        found.append(f"timestamps were not compared in {topics}: the broker sets them")
    return found


def _named(topic: str, offsets: dict[int, int]) -> str:
    named = [f"{topic}/{number} before {offset}" for number, offset in sorted(offsets.items())]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
