"""Asks a group's coordinator for its state and members, again and again, without joining it."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, group_question_config, make_admin
from pipeline.kafka.errors import TRANSIENT, LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S, GroupState, group_state

_RETRY_S: Final = 0.1
_KEPT: Final = 3
"""Number of clients without an answer that are kept, since it may still arrive."""
_UNKNOWN: Final = GroupState("DEAD", [])
"""State of a group that does not exist."""


class GroupDescription:
    """Describes one group, with the partitions of one topic. For one thread."""

    def __init__(self, kafka: LibrdkafkaConfig, group: str, topic: str) -> None:
        self._kafka = kafka
        self._group = group
        self._topic = topic
        self._what = f"asking for the members of group {group}"
        self._client: AdminClient | None = None
        self._unanswered: deque[AdminClient] = deque(maxlen=_KEPT)

    def read(self, timeout_s: float) -> GroupState:
        """Return the state of now. TransportError when the coordinator does not answer in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._ask(max(0.0, deadline - time.monotonic()))
            except KafkaException as exception:
                error = kafka_error(exception)
                if error.code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return _UNKNOWN
                known = refusal(error, self._what, group=self._group)
                if known is not None:
                    raise known from exception
                if error.code() not in TRANSIENT or time.monotonic() > deadline:
                    raise TransportError(f"{self._what}: {reason(error)}") from exception
            time.sleep(_RETRY_S)

    def _ask(self, timeout_s: float) -> GroupState:
        client = self._client or make_admin(group_question_config(self._kafka), LastClientError())
        self._client = None
        answers = client.describe_consumer_groups([self._group], request_timeout=GIVEN_UP_S)
        try:
            described = answers[self._group].result(timeout_s)
        except TimeoutError:
            # A client that was connected to a restarted broker may never find the coordinator
            # again, so the next question is asked by a new one.
            self._unanswered.append(client)
            raise TransportError(f"{self._what}: its coordinator does not answer") from None
        except KafkaException:
            self._client = client
            raise
        self._client = client
        return group_state(described, self._topic)
