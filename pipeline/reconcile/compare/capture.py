"""What a comparison reads, captured from a cluster: committed offsets first, then the ends."""

from __future__ import annotations

from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.kafka import Admin
from pipeline.kafka.offsets_by_time import first_records_at
from pipeline.ports import TopicFacts
from pipeline.reconcile.capture import OUT_OF_ORDER_MS, output_partitioner, output_partitions
from pipeline.reconcile.compare.comparison import ComparisonTarget
from pipeline.reconcile.compare.request import CompareRequest
from pipeline.reconcile.ranges import AuditRanges, RawPartition
from pipeline.settings.model import Settings
from pipeline.topics import require_permission
from pipeline.wiring import admin, range_reader, topic_names


def capture(
    settings: Settings, request: CompareRequest, *, is_whole_topic: bool
) -> ComparisonTarget:
    """Capture all offsets; without `is_whole_topic` the raw records come from elsewhere.

    Raises RefusedError when a topic is missing or may not be read, and TransportError.
    """
    cluster = admin(settings)
    cluster.wait_until_reachable()
    live, raw_topic = topic_names(settings), settings.topics.raw
    topics = dict(request.topics) or {
        Role.ENRICHED: live.enriched,
        Role.DEAD_LETTER: live.dead_letter,
    }
    if Role.OTHER in topics and not cluster.topics([topics[Role.OTHER]]):
        del topics[Role.OTHER]  # its setting may be what is tried
    facts = _existing(cluster, [*topics.values(), *([raw_topic] if is_whole_topic else [])])
    # Nobody knows when records from elsewhere were read, so all their outputs may exist.
    is_live = topics[Role.ENRICHED] == live.enriched and is_whole_topic
    committed = cluster.committed(settings.group, raw_topic) if is_live else {}
    raw = _raw(settings, cluster, request) if is_whole_topic else {}
    outputs = output_partitions(cluster, settings, topics, facts, request.window)
    width = facts[raw_topic if is_whole_topic else topics[Role.ENRICHED]].partitions
    return ComparisonTarget(
        AuditRanges(settings.group, raw_topic, topics, raw, outputs, request.window),
        output_partitioner(width, topics, facts),
        committed or None,
        settings.accept_origin_headers,
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


def _raw(settings: Settings, cluster: Admin, request: CompareRequest) -> dict[int, RawPartition]:
    """Find the raw offsets; copies of their records may be anywhere up to the end of the topic."""
    extents = cluster.extents(settings.topics.raw, stable=True)
    offsets = request.offsets
    if offsets is None:
        offsets = _window_offsets(settings, cluster, request, extents)
    raw = {}
    for number, (start, stop) in offsets.items():
        begin, end = extents.get(number, (start, stop))
        raw[number] = RawPartition(begin, start, stop, max(end, stop))
    return raw


def _window_offsets(
    settings: Settings,
    cluster: Admin,
    request: CompareRequest,
    extents: dict[int, tuple[int, int]],
) -> dict[int, tuple[int, int]]:
    topic, window = settings.topics.raw, request.window
    firsts = {} if window.start is None else cluster.offsets_at(topic, window.start)
    lasts = {number: end for number, (_, end) in extents.items()}
    if window.end is not None:
        reader = range_reader(settings)
        lasts = first_records_at(cluster, reader, topic, window.end + OUT_OF_ORDER_MS, lasts)
    return {
        number: (begin if window.start is None else firsts.get(number, end), lasts[number])
        for number, (begin, end) in extents.items()
    }
