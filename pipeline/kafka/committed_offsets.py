"""Reads a group's committed offsets with a consumer that does not join the group.

librdkafka's admin call for this must not be used: in 2.16 it crashes the whole process with a
segmentation fault while the group's coordinator is loading or has moved
(rd_kafka_handle_OffsetFetch uses the handle's own group, and an admin client has none).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka.clients import LibrdkafkaConfig, make_consumer, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error

_STEP_S: Final = 1.0
_PASSING: Final = frozenset({error_codes.TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT})
_EVENTS: Final = 10
"""Number of events that are searched for an error. The first one is enough."""


class CommittedOffsets:
    """Reads the committed offsets of one group."""

    def __init__(
        self,
        kafka: LibrdkafkaConfig,
        group: str,
        last_error: LastClientError,
        *,
        stable: bool = False,
    ) -> None:
        """With `stable`, wait for the end of transactions that have sent offsets of the group.

        Otherwise the result is what is committed now, not what may be after an open transaction.
        """
        config = {
            **plain_config(kafka),
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if stable else "read_uncommitted",
        }
        self._consumer = make_consumer(config, last_error)

    def read(
        self, places: Sequence[TopicPartition], timeout_s: float
    ) -> dict[int, tuple[int, str]]:
        """Return offset and metadata by partition, of those that have an offset. KafkaException."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = committed(self._consumer, places, min(_STEP_S, timeout_s))
            except KafkaException as error:
                self._raise_reported_error()
                if kafka_error(error).code() not in _PASSING or time.monotonic() > deadline:
                    raise
            else:
                return {
                    place.partition: (place.offset, place.metadata or "")
                    for place in found
                    if place.offset >= 0
                }

    def _raise_reported_error(self) -> None:
        """Raise the reason for a missing answer: a missing ACL, for one, comes as a message."""
        for message in self._consumer.consume(_EVENTS, 0):
            error = message.error()
            if error is not None:
                raise KafkaException(error)


class StartingOffsets:
    """Reads a group's committed offsets with a member of the group, at a rebalance.

    They are final: of a transaction that holds offsets the end is waited for, and said so.
    """

    def __init__(self, kafka: LibrdkafkaConfig, group: str, last_error: LastClientError) -> None:
        self._kafka = kafka
        self._group = group
        self._last_error = last_error

    def read(
        self, consumer: Consumer, places: Sequence[TopicPartition], timeout_s: float
    ) -> list[TopicPartition]:
        """See `committed`.

        Asks again every second: after a restart of its broker the client may not notice an answer.
        Raises OutcomeUnknownError when a transaction holds the offsets for longer than this.
        """
        deadline = time.monotonic() + timeout_s
        with self._last_error.announcing_retries() as again:
            while True:
                try:
                    return committed(consumer, places, min(_STEP_S, timeout_s))
                except KafkaException as failure:
                    error = kafka_error(failure)
                    if error.code() not in _PASSING:
                        raise
                    is_held = self._is_held(places)
                    if time.monotonic() >= deadline:
                        if is_held:
                            raise OutcomeUnknownError(self._held()) from failure
                        raise
                    again(f"reading the offsets of group {self._group}", error)
                    if is_held:
                        self._last_error.retrying_because = self._held()

    def _is_held(self, places: Sequence[TopicPartition]) -> bool:
        """Whether the offsets are readable, but for a transaction that has not ended."""
        try:
            CommittedOffsets(self._kafka, self._group, LastClientError()).read(places, _STEP_S)
        except KafkaException:
            return False
        return True

    def _held(self) -> str:
        return (
            f"a transaction that has not ended holds offsets of group {self._group}, so nobody "
            "knows where to continue. It ends when the worker that began it starts again under its "
            "instance_id, or after transaction_timeout_ms. One that stays has lost its end in a "
            "crash of the brokers: Kafka's kafka-transactions finds it (find-hanging) and ends it "
            "(abort)"
        )


def committed(
    consumer: Consumer, places: Sequence[TopicPartition], timeout_s: float
) -> list[TopicPartition]:
    """Return the partitions with their committed offsets, which are below 0 for none.

    Raises KafkaException also for an error of one partition, which would otherwise look like having
    no offset.
    """
    found = consumer.committed(list(places), timeout=timeout_s)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return found
