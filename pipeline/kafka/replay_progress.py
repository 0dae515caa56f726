"""How far a replay is: the offsets of its own group, and the notes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from pipeline.core.replay_checkpoint import ReplayCheckpoint, read_checkpoint
from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.clients import LibrdkafkaConfig
from pipeline.kafka.committed_offsets import CommittedOffsets
from pipeline.kafka.errors import Causes, kafka_error, reason, refusal


class At(NamedTuple):
    """Where one partition of a replay is."""

    offset: int
    """The next one."""
    note: ReplayCheckpoint | None


class ReplayOffsets:
    """Of one replay. It joins no group."""

    def __init__(
        self, kafka: LibrdkafkaConfig, group: str, topic: str, timeout_s: float, *, stable: bool
    ) -> None:
        """`stable` waits for transactions of this group that are open or being committed."""
        self._group, self._topic, self._timeout_s = group, topic, timeout_s
        self._causes = Causes()
        self._committed = CommittedOffsets(kafka, group, self._causes, stable=stable)

    def of(self, partitions: Iterable[int]) -> Mapping[int, At]:
        """Partition → where it is, of those that have an offset; TransportError."""
        places = [TopicPartition(self._topic, number) for number in partitions]
        try:
            found = self._committed.of(places, self._timeout_s)
        except KafkaException as exception:
            what = f"reading the offsets of group {self._group}"
            error = kafka_error(exception)
            raise refusal(error, what, group=self._group) or OutcomeUnknownError(
                f"{what}: {reason(error)}{self._causes.sentence()}"
            ) from exception
        return {
            number: At(offset, read_checkpoint(text)) for number, (offset, text) in found.items()
        }
