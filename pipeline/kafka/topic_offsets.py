"""First and last offsets of a topic's partitions, also while some of them have no leader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

WRITTEN: Final = IsolationLevel.READ_UNCOMMITTED
READABLE: Final = IsolationLevel.READ_COMMITTED
"""Up to which records the latest offset counts: written, or committed."""
EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class PartitionOffsets(NamedTuple):
    """Offsets of one partition."""

    begin: int
    """First remaining offset."""
    readable: int
    """First offset of the oldest open transaction; the end when there is none."""
    end: int
    """Offset of the next record (the high watermark)."""


def offsets_of(
    client: AdminClient, topic: str, timeout_s: float
) -> dict[int, PartitionOffsets | None]:
    """Return the offsets of each partition; None for those that nobody can tell at the moment.

    KafkaException. The question for the others would wait for those without a leader.
    """
    found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    places = [
        TopicPartition(topic, number)
        for number, each in found.partitions.items()
        if each.leader >= 0
    ]
    begins = _answers(client, places, EARLIEST, WRITTEN, timeout_s)
    ends = _answers(client, places, LATEST, WRITTEN, timeout_s)
    # Asked for last: records that are written meanwhile must not look like an open transaction.
    readable = _answers(client, places, LATEST, READABLE, timeout_s)
    known = begins.keys() & ends.keys() & readable.keys()
    return {
        number: PartitionOffsets(begins[number], min(readable[number], ends[number]), ends[number])
        if number in known
        else None
        for number in sorted(found.partitions)
    }


def ask_offsets(
    client: AdminClient,
    places: Iterable[TopicPartition],
    which: OffsetSpec,
    level: IsolationLevel,
    timeout_s: float,
) -> dict[TopicPartition, Future[Any]]:
    """Ask the brokers for one offset of each of these partitions; the answers arrive later."""
    asked: dict[TopicPartition, Future[Any]] = client.list_offsets(
        dict.fromkeys(places, which), isolation_level=level, request_timeout=timeout_s
    )
    return asked


def _answers(
    client: AdminClient,
    places: list[TopicPartition],
    which: OffsetSpec,
    level: IsolationLevel,
    timeout_s: float,
) -> Mapping[int, int]:
    if not places:
        return {}
    found = {}
    for place, future in ask_offsets(client, places, which, level, timeout_s).items():
        try:
            offset = future.result().offset
        except KafkaException:
            continue  # its leader has just moved
        # When the connection breaks, the client may answer OFFSET_INVALID instead of an error.
        if offset >= 0:
            found[place.partition] = offset
    return found
