"""What must be read of output topics, captured from a cluster for audits and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.core.record import Role
from pipeline.core.time_window import Window
from pipeline.core.timestamps import DAY
from pipeline.kafka import Admin
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import TopicFacts
from pipeline.reconcile.ranges import OutputPartition, OutputPartitioner
from pipeline.settings.model import Settings

TIME_TYPE: Final = "message.timestamp.type"
OUT_OF_ORDER_MS: Final = DAY
"""How far the times of raw records may be out of order without a window missing any of them."""


def output_partitions(
    cluster: Admin,
    settings: Settings,
    topics: Mapping[Role, str],
    facts: Mapping[str, TopicFacts],
    window: Window,
) -> dict[tuple[str, int], OutputPartition]:
    """Find what must be read of the output topics to see all outputs of a window of raw records."""
    return {
        (topic, number): part
        for role, topic in topics.items()
        for number, part in _of_topic(cluster, settings, facts[topic], role, window).items()
    }


def _of_topic(
    cluster: Admin, settings: Settings, facts: TopicFacts, role: Role, window: Window
) -> dict[int, OutputPartition]:
    topic, start = facts.name, _start_time(settings, facts, role, window)
    extents = cluster.extents(topic)
    firsts = {} if start is None else cluster.offsets_at(topic, start)
    return {
        number: OutputPartition(
            begin, begin if start is None else min(end, firsts.get(number, end)), end
        )
        for number, (begin, end) in extents.items()
    }


def _start_time(settings: Settings, facts: TopicFacts, role: Role, window: Window) -> int | None:
    """Time from which an output topic must be read; None when all of it must be.

    Enriched events have the timestamp of their raw record, so none of the window is before its
    start. Dead letters have the time of their writing, and copies that of their origin.
    """
    if role is Role.DEAD_LETTER or settings.accept_origin_headers:
        return None
    return window.start if facts.config.get(TIME_TYPE) == "CreateTime" else None


def output_partitioner(
    raw_partitions: int, topics: Mapping[Role, str], facts: Mapping[str, TopicFacts]
) -> OutputPartitioner:
    """Map each output to the partition that the worker chooses; -1 for roles without a topic."""
    maps = {
        role: PartitionMap(raw_partitions, facts[topic].partitions)
        for role, topic in topics.items()
    }
    return lambda role, partition, key: maps[role].target(partition, key) if role in maps else -1
