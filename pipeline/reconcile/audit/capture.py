"""What an audit looks at, captured from a cluster: committed offsets first, then all ends."""

from __future__ import annotations

from typing import Final

from pipeline.core.record import Role
from pipeline.core.time_window import Window
from pipeline.core.timestamps import DAY
from pipeline.errors import DataLossError, SettingsError
from pipeline.kafka import Admin
from pipeline.kafka.offsets_by_time import first_records, first_records_at
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import Reader, TopicFacts
from pipeline.reconcile.ranges import OutputPartition, Plan, RawPartition, Target
from pipeline.settings.model import Settings
from pipeline.topics import TopicNames
from pipeline.wiring import range_reader

_EARLY_MS: Final = DAY
"""Raw records may be so much out of order in time, and are still found by `--to`."""
_TIME_TYPE: Final = "message.timestamp.type"
_NAMED: Final = 3


def capture(
    settings: Settings,
    cluster: Admin,
    names: TopicNames,
    facts: dict[str, TopicFacts],
    window: Window,
) -> Plan:
    """Capture all offsets. Everything below the committed ones is in what is asked for later.

    Raises SettingsError when the group has committed nothing, DataLossError when what it has
    committed does not fit the raw topic, and TransportError.
    """
    committed = cluster.committed(settings.group, names.raw)
    if not committed:
        raise SettingsError([_nothing(settings.group, names.raw)])
    topics = names.outputs(settings)
    outputs = {
        (topic, number): part
        for role, topic in topics.items()
        for number, part in output_partitions(cluster, settings, facts[topic], role, window).items()
    }
    return Plan(
        group=settings.group,
        raw_topic=names.raw,
        topics=topics,
        outputs=outputs,
        raw=_raw(settings, cluster, committed, window),
        window=window,
        stamped_by_broker=frozenset(
            role
            for role, topic in topics.items()
            if facts[topic].config.get(_TIME_TYPE) == "LogAppendTime"
        ),
        raw_is_compacted="compact" in facts[names.raw].config.get("cleanup.policy", "delete"),
    )


def _nothing(group: str, topic: str) -> str:
    return (
        f"group: {group} has committed no offsets of topic {topic}, so there is nothing to audit: "
        "is it the worker's group (--group), and has a worker run?"
    )


def _first_time(settings: Settings, topic: TopicFacts, role: Role, window: Window) -> int | None:
    """From when on an output topic must be read; None: from its first record.

    Enriched events have the timestamp of their raw record, so that nothing of the window is before
    its start. Letters have their own time; copies have their origin's.
    """
    if role is Role.DEAD_LETTER or settings.accept_origin_headers:
        return None
    return window.start if topic.config.get(_TIME_TYPE) == "CreateTime" else None


def output_partitions(
    cluster: Admin, settings: Settings, facts: TopicFacts, role: Role, window: Window
) -> dict[int, OutputPartition]:
    """What must be read of an output topic, to find the outputs of a window of raw records."""
    topic, first_time = facts.name, _first_time(settings, facts, role, window)
    extents = cluster.extents(topic)
    if first_time is None:
        return {
            number: OutputPartition(begin, begin, end) for number, (begin, end) in extents.items()
        }
    first = cluster.offsets_at(topic, first_time)
    return {
        number: OutputPartition(begin, min(end, first.get(number, end)), end)
        for number, (begin, end) in extents.items()
    }


def _raw(
    settings: Settings, cluster: Admin, committed: dict[int, int], window: Window
) -> dict[int, RawPartition]:
    topic = settings.topics.raw
    # Records of transactions that are open can't be read, and nothing is written for them.
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
        ends = _behind_markers(reader, topic, done, extents)
    else:
        ends = first_records_at(cluster, reader, topic, window.end + _EARLY_MS, done)
    parts = {}
    for number, (begin, last) in extents.items():
        first = begin if window.start is None else min(firsts.get(number, last), done[number])
        parts[number] = RawPartition(begin, max(begin, first), max(begin, ends[number]), last)
    return parts


def _behind_markers(
    reader: Reader, topic: str, done: dict[int, int], extents: dict[int, tuple[int, int]]
) -> dict[int, int]:
    """The committed offsets, or the ends of partitions that have no record behind them.

    The worker commits the position behind transaction markers and aborted records a moment after
    the one behind the last record; one that was killed in between has not.
    """
    rest = {number: (max(begin, done[number]), end) for number, (begin, end) in extents.items()}
    unread = first_records(reader, topic, rest)
    return {number: at if number in unread else rest[number][1] for number, at in done.items()}


def target_of(plan: Plan, facts: dict[str, TopicFacts]) -> Target:
    """Where the worker puts an output."""
    raw = facts[plan.raw_topic].partitions
    maps = {role: PartitionMap(raw, facts[topic].partitions) for role, topic in plan.topics.items()}
    return lambda role, partition, key: maps[role].target(partition, key)


def notes(plan: Plan) -> list[str]:
    """What the audit can't see, a sentence each."""
    said = []
    cut = {number: part.begin for number, part in plan.raw.items() if part.begin}
    if cut and plan.window.start is None:
        said.append(
            f"retention has deleted the first raw records ({_places(plan.raw_topic, cut)}): "
            "their events can't be audited"
        )
    ahead = sum(part.last - part.end for part in plan.raw.values())
    if ahead and plan.window.end is None:
        said.append(
            f"the group has not committed the last {ahead} raw offsets: what was written for them "
            "is not judged"
        )
    if plan.stamped_by_broker:
        topics = ", ".join(sorted(plan.topics[role] for role in plan.stamped_by_broker))
        said.append(f"timestamps were not compared in {topics}: the broker sets them")
    return said


def _places(topic: str, offsets: dict[int, int]) -> str:
    named = [f"{topic}/{number} before {offset}" for number, offset in sorted(offsets.items())]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
