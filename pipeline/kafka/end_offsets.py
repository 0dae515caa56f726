"""The ends of a topic's partitions, asked of the broker: what the lag is counted up to."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

_WAIT_S: Final = 2.0
"""Longest wait of the worker for a figure."""
_REQUEST_S: Final = 5.0


class EndOffsets:
    """Asks for the ends of some of a topic's partitions, and waits a moment for the answer.

    The end is the high watermark, as Kafka's own tools take it, and not the last stable offset:
    records of a transaction that is open wait, too, though nobody can read them yet. A transaction
    that its sender has left open would else hide everything behind it.
    """

    def __init__(self, client: AdminClient, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._late: list[Future[Any]] = []
        """Answers that did not come in time: while they are missing, nobody waits again."""

    def read(self, numbers: Iterable[int]) -> Mapping[int, int] | None:
        """Partition → its end now; None when not all of them are told in time."""
        self._late = [answer for answer in self._late if not answer.done()]
        if self._late:
            return None
        latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        places = {TopicPartition(self._topic, number): latest for number in numbers}
        if not places:
            return {}
        deadline = time.monotonic() + _WAIT_S
        asked = self._client.list_offsets(
            places, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_REQUEST_S
        )
        try:
            return {
                place.partition: answer.result(max(0.0, deadline - time.monotonic())).offset
                for place, answer in asked.items()
            }
        except (KafkaException, TimeoutError):
            self._late = list(asked.values())
            return None
