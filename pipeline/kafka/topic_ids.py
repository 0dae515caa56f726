"""Whether a topic is still the same one.

A topic that is deleted and created again within moments has the old name, and new records at the
old offsets. librdkafka reads on at its old position and silently skips everything before it. Only
Kafka's topic id reveals it.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

_EVERY_S: Final = 10.0
_NONE: Final = "A" * 22
"""Topic id reported by clusters without topic ids."""
_AS_KAFKA_WRITES: Final = str.maketrans("+/", "-_")
"""Kafka's own tools print ids in URL-safe base64; librdkafka uses the standard alphabet."""


class TopicIds:
    """Reads the id of one topic. An id that can't be read is the empty string."""

    def __init__(self, client: AdminClient, topic: str, timeout_s: float) -> None:
        self._client = client
        self._topic = topic
        self._timeout_s = timeout_s
        self._asked: Future[Any] | None = None
        self._next = 0.0

    def current(self) -> str:
        """Return the topic's current id."""
        return self._read(self._ask())

    def changed_from(self, known: str) -> bool:
        """Return whether the id has changed. It is read in the background, every few seconds."""
        if not known:
            return False
        if self._asked is None:
            if time.monotonic() < self._next:
                return False
            self._asked = self._ask()
        if not self._asked.done():
            return False
        answer, self._asked = self._read(self._asked), None
        self._next = time.monotonic() + _EVERY_S
        return bool(answer) and answer != known

    def _ask(self) -> Future[Any]:
        asked = self._client.describe_topics(
            TopicCollection([self._topic]), request_timeout=self._timeout_s
        )
        return asked[self._topic]

    def _read(self, asked: Future[Any]) -> str:
        try:
            return topic_id(asked.result(self._timeout_s))
        except (KafkaException, TimeoutError):
            return ""


def topic_id(described: Any) -> str:  # noqa: ANN401  the client's
    """Return the id of a described topic; empty on clusters without topic ids."""
    answer = str(described.topic_id)
    return "" if answer == _NONE else answer.translate(_AS_KAFKA_WRITES)
