"""How far a replay is: the offsets of its own group, and their metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from pipeline.core.replay_checkpoint import ReplayCheckpoint, read_checkpoint
from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.clients import LibrdkafkaConfig
from pipeline.kafka.committed_offsets import CommittedOffsets
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal


class PartitionProgress(NamedTuple):
    """How far one partition of a replay is."""

    offset: int
    """Offset of the next record to replay."""
    note: ReplayCheckpoint | None


class ReplayOffsets:
    """Reads the offsets of one replay, without joining its group."""

    def __init__(
        self, kafka: LibrdkafkaConfig, group: str, topic: str, timeout_s: float, *, stable: bool
    ) -> None:
        """Make a reader; `stable` makes it wait for open transactions of this group to end."""
        self._group, self._topic, self._timeout_s = group, topic, timeout_s
        self._last_error = LastClientError()
        self._committed = CommittedOffsets(kafka, group, self._last_error, stable=stable)

    def read(self, partitions: Iterable[int]) -> Mapping[int, PartitionProgress]:
        """Return the progress of the partitions that have an offset. Raises TransportError."""
        places = [TopicPartition(self._topic, number) for number in partitions]
        try:
            found = self._committed.read(places, self._timeout_s)
        except KafkaException as exception:
            what = f"reading the offsets of group {self._group}"
            error = kafka_error(exception)
            raise refusal(error, what, group=self._group) or OutcomeUnknownError(
                f"{what}: {reason(error)}{self._last_error.sentence()}"
            ) from exception
        return {
            number: PartitionProgress(offset, read_checkpoint(text))
            for number, (offset, text) in found.items()
        }
