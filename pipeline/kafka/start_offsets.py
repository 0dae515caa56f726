"""Decides from which offset a partition is read when it is assigned.

It is the committed offset, if there is one. A partition without one, whose group has offsets on
other partitions, is new and is read from its first record. A group without any offset is new too,
unless the enriched topic already holds events. Then the group's offsets have expired
(`offsets.retention.minutes`), and starting over would enrich everything a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    TopicPartition,
)

from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata
from pipeline.core.record import Role
from pipeline.errors import DataLossError
from pipeline.kafka.clients import make_admin, plain_config
from pipeline.kafka.committed_offsets import StartingOffsets
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.reader import read_committed
from pipeline.kafka.session_config import SessionConfig

_LATEST: Final = "latest"
_ANSWER_S: Final = 15.0
"""Time limit of one question. A rebalance asks several, and meanwhile a stop is not noticed."""


class StartOffsets(NamedTuple):
    """From where assigned partitions are read."""

    places: list[TopicPartition]
    uncommitted: list[TopicPartition]
    """Those of them without a committed offset."""
    notes: list[OffsetMetadata]
    """Metadata of the committed offsets."""


class StartOffsetPolicy:
    """Decides the first position of assigned partitions.

    `initial_offset` (earliest or latest) is for a new group; `start_over` is the operator's
    decision for a group that has lost its offsets.
    """

    def __init__(self, config: SessionConfig, last_error: LastClientError) -> None:
        self.group = config.group
        self._offsets = StartingOffsets(config.shared, config.group, last_error)
        self._initial_offset = config.initial_offset
        self._start_over = config.start_over
        self._kafka = config.shared
        self._enriched_topic = config.topics[Role.ENRICHED]
        self._timeout_s = min(config.startup_timeout_s, _ANSWER_S)

    def resolve(
        self, consumer: Consumer, assigned: Sequence[TopicPartition], topic_id: str
    ) -> StartOffsets:
        """Return where to start; `topic_id` is the topic's current id, empty when unknown.

        Raises KafkaException when the broker does not answer, DataLossError when starting over
        would duplicate events, or when the offsets belong to another topic of the same name.
        """
        places = self._offsets.read(consumer, assigned, self._timeout_s)
        notes = [note for place in places if (note := read_offset_metadata(place.metadata))]
        if topic_id and any(note.topic_id not in {"", topic_id} for note in notes):
            raise created_anew(places[0].topic, self.group)
        missing = [place for place in places if place.offset < 0]
        if not missing:
            return StartOffsets(places, [], notes)
        start = self._start_of_new(consumer, missing)
        uncommitted = [
            TopicPartition(place.topic, place.partition, self._resolve(consumer, place, start))
            for place in missing
        ]
        known = [place for place in places if place.offset >= 0]
        return StartOffsets(known + uncommitted, uncommitted, notes)

    def _start_of_new(self, consumer: Consumer, missing: Sequence[TopicPartition]) -> int:
        topic = missing[0].topic
        everywhere = [TopicPartition(topic, number) for number in self._partitions(topic)]

        def is_known() -> bool:
            places = self._offsets.read(consumer, everywhere, self._timeout_s)
            return any(place.offset >= 0 for place in places)

        if self._start_over is None:
            known = is_known()
            if not known and self._was_written(consumer):
                # Asked again: another new worker of this group may have written it.
                known = is_known()
                if not known:
                    raise self._gone(topic)
            if known:
                return OFFSET_BEGINNING
        wanted = self._start_over or self._initial_offset
        return OFFSET_END if wanted == _LATEST else OFFSET_BEGINNING

    def _gone(self, topic: str) -> DataLossError:
        return DataLossError(
            f"group {self.group} has no committed offsets for topic {topic}, but the enriched "
            "topic already holds events: the offsets have expired, or were deleted together with "
            "the raw topic, and starting over would duplicate enriched events. Choose once where "
            "to start: --initial-offset earliest or --initial-offset latest"
        )

    def _was_written(self, consumer: Consumer) -> bool:
        """Return whether the enriched topic holds, or ever held, an event.

        Aborted ones don't count.
        """
        topic, timeout_s = self._enriched_topic, self._timeout_s
        marks = [
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)
            for number in self._partitions(topic)
        ]
        if all(high == 0 for _, high in marks):
            return False
        if any(low > 0 for low, _ in marks):
            return True
        records = read_committed(self._kafka, topic, timeout_s, self.group)
        return next(records, None) is not None

    def _partitions(self, topic: str) -> list[int]:
        """Ask with a separate client.

        Asking the consumer, inside its rebalance callback, would make its next callback abort the
        whole process (confluent-kafka 2.16).
        """
        last_error = LastClientError()
        client = make_admin(plain_config(self._kafka), last_error)
        return partitions_of(client, topic, self._timeout_s, last_error)

    def _resolve(self, consumer: Consumer, place: TopicPartition, start: int) -> int:
        low, high = consumer.get_watermark_offsets(place, timeout=self._timeout_s)
        return int(high if start == OFFSET_END else low)


def created_anew(topic: str, group: str) -> DataLossError:
    """Return the error for offsets that belong to a deleted topic."""
    return DataLossError(
        f"topic {topic} was deleted and created again: the offsets of group {group} belong to the "
        "old one, and mean nothing in the new one. Choose where to resume: stop all workers, reset "
        "the group's offsets with kafka-consumer-groups --reset-offsets, then restart"
    )
