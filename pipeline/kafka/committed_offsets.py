"""What a group has committed, asked for by a consumer that does not join it.

librdkafka has an admin call for it, which must not be used: in 2.16 it ends the whole process by a
segmentation fault when the group's coordinator is loading or has moved
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
_TOLD: Final = 10
"""Errors that are looked at; one is enough."""


class CommittedOffsets:
    """Of one group."""

    def __init__(
        self,
        kafka: LibrdkafkaConfig,
        group: str,
        last_error: LastClientError,
        *,
        stable: bool = False,
    ) -> None:
        """`stable` waits for the end of transactions that have sent offsets of the group.

        Else it is what is committed now, not what may be when an open transaction has ended.
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
        """Partition → committed offset and its metadata, of those that have one; KafkaException."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = committed(self._consumer, places, min(_STEP_S, timeout_s))
            except KafkaException as error:
                self._raise_what_was_told()
                if kafka_error(error).code() not in _PASSING or time.monotonic() > deadline:
                    raise
            else:
                return {
                    place.partition: (place.offset, place.metadata or "")
                    for place in found
                    if place.offset >= 0
                }

    def _raise_what_was_told(self) -> None:
        """Why there is no answer, such as a right that is missing, comes as a message."""
        for message in self._consumer.consume(_TOLD, 0):
            error = message.error()
            if error is not None:
                raise KafkaException(error)


def committed(
    consumer: Consumer, places: Sequence[TopicPartition], timeout_s: float
) -> list[TopicPartition]:
    """The places with their committed offsets, below 0 for none.

    KafkaException also for an error of one place, which else would look like having no offset.
    """
    found = consumer.committed(list(places), timeout=timeout_s)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return found
