"""Reads the ends of a topic's partitions from the broker: the lag is counted up to these."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.kafka.topic_offsets import LATEST, WRITTEN, ask_offsets

_WAIT_S: Final = 2.0
"""How long the worker waits for the ends."""
_REQUEST_S: Final = 5.0
"""Time limit of the request, which goes on after that wait."""


class EndOffsets:
    """Asks for the ends of some partitions, and waits a moment for the answer.

    The end is the high watermark, as in Kafka's own tools, and not the last stable offset. Records
    of an open transaction are waiting too, although nobody can read them yet. With the last stable
    offset, a transaction that its producer left open would hide everything behind it.
    """

    def __init__(self, client: AdminClient, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._late: list[Future[Any]] = []
        """Answers that did not arrive in time. Nobody waits again until they have."""

    def read(self, numbers: Iterable[int]) -> Mapping[int, int] | None:
        """Return the ends by partition; None when one of them is not known in time."""
        self._late = [answer for answer in self._late if not answer.done()]
        if self._late:
            return None
        places = [TopicPartition(self._topic, number) for number in numbers]
        if not places:
            return {}
        deadline = time.monotonic() + _WAIT_S
        asked = ask_offsets(self._client, places, LATEST, WRITTEN, _REQUEST_S)
        try:
            ends = {
                place.partition: answer.result(max(0.0, deadline - time.monotonic())).offset
                for place, answer in asked.items()
            }
        except (KafkaException, TimeoutError):
            self._late = list(asked.values())
            return None
        # When the connection breaks, the client may answer OFFSET_INVALID instead of an error.
        return ends if min(ends.values()) >= 0 else None
