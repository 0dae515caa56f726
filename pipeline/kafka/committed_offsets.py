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
