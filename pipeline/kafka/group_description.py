"""Asks a group's coordinator for its state and members, again and again, without joining it."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S, GroupState, group_state

_UNKNOWN: Final = GroupState("DEAD", [])
"""State of a group that does not exist."""


class GroupDescription:
    """Describes one group, with the partitions of one topic. For one thread."""

    def __init__(self, kafka: LibrdkafkaConfig, group: str, topic: str) -> None:
        self._last_error = LastClientError()
        self._client = make_admin(plain_config(kafka), self._last_error)
        self._group = group
        self._topic = topic
        self._asked: Future[Any] | None = None
        """A question that is not answered yet: no second one is asked meanwhile."""

    def read(self, timeout_s: float) -> GroupState:
        """Return the state of now. TransportError when the coordinator does not answer in time."""
        what = f"asking for the members of group {self._group}"
        if self._asked is None:
            answers = self._client.describe_consumer_groups(
                [self._group], request_timeout=GIVEN_UP_S
            )
            self._asked = answers[self._group]
        try:
            described = self._asked.result(timeout_s)
        except concurrent.futures.TimeoutError as error:
            self._client.poll(0)  # the error callback runs only inside poll
            raise TransportError(
                f"{what}: its coordinator does not answer{self._last_error.sentence()}"
            ) from error
        except KafkaException as exception:
            self._asked = None
            return self._without_answer(kafka_error(exception), what)
        self._asked = None
        return group_state(described, self._topic)

    def _without_answer(self, error: KafkaError, what: str) -> GroupState:
        if error.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return _UNKNOWN
        known = refusal(error, what, group=self._group)
        raise known or TransportError(f"{what}: {reason(error)}{self._last_error.sentence()}")
