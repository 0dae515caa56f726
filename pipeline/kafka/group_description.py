"""Asks a group's coordinator for its state and members, again and again, without joining it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.kafka.errors import TRANSIENT, LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S, GroupState, group_state

_RETRY_S: Final = 0.1
_UNKNOWN: Final = GroupState("DEAD", [])
"""State of a group that does not exist."""


class GroupDescription:
    """Describes one group, with the partitions of one topic. For one thread."""

    def __init__(self, kafka: LibrdkafkaConfig, group: str, topic: str) -> None:
        self._last_error = LastClientError()
        self._client = make_admin(plain_config(kafka), self._last_error)
        self._group = group
        self._topic = topic
        self._what = f"asking for the members of group {group}"
        self._asked: Future[Any] | None = None
        """A question that is not answered yet: no second one is asked meanwhile."""

    def read(self, timeout_s: float) -> GroupState:
        """Return the state of now. TransportError when the coordinator does not answer in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return group_state(self._answer(deadline - time.monotonic()), self._topic)
            except TimeoutError:
                self._client.poll(0)  # the error callback runs only inside poll
                raise self._failure("its coordinator does not answer") from None
            except KafkaException as exception:
                error = kafka_error(exception)
                if error.code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return _UNKNOWN
                known = refusal(error, self._what, group=self._group)
                if known is not None:
                    raise known from exception
                if error.code() not in TRANSIENT or time.monotonic() > deadline:
                    raise self._failure(reason(error)) from exception
            time.sleep(_RETRY_S)

    def _answer(self, timeout_s: float) -> Any:  # noqa: ANN401  the client's, whose stubs are wrong
        if self._asked is None:
            answers = self._client.describe_consumer_groups(
                [self._group], request_timeout=GIVEN_UP_S
            )
            self._asked = answers[self._group]
        found = self._asked.exception(max(0.0, timeout_s))
        asked, self._asked = self._asked, None
        if found is not None:
            raise found
        return asked.result()

    def _failure(self, why: str) -> TransportError:
        return TransportError(f"{self._what}: {why}{self._last_error.sentence()}")
