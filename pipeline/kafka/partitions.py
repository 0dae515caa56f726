"""The partitions of a topic. Whoever needs them asks here.

A metadata answer with an error lists no partitions. Taken for an empty topic, it would make a
ledger look empty and a group look new.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._metadata import ClusterMetadata

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal

_STEP_S: Final = 1.0
_RETRY_S: Final = 0.1


class MetadataClient(Protocol):
    """Any client of librdkafka."""

    def list_topics(self, topic: str, timeout: float) -> ClusterMetadata:
        """Return metadata of the cluster and one topic. KafkaException without an answer."""


def partitions_of(
    client: MetadataClient, topic: str, timeout_s: float, last_error: LastClientError | None = None
) -> list[int]:
    """Return the numbers of a topic's partitions, of which there is at least one.

    Asks for up to `timeout_s` while the cluster does not know. Raises RefusedError when the topic
    does not exist or is hidden, OutcomeUnknownError when there is no answer in time.
    """
    what = f"asking for the partitions of topic {topic}"
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return _asked_once(client, topic, max(0.001, min(_STEP_S, timeout_s)))
        except KafkaException as failure:
            error = kafka_error(failure)
            known = refusal(error, what)
            if known is not None:
                raise known from failure
            if time.monotonic() > deadline:
                said = last_error.sentence() if last_error is not None else ""
                raise OutcomeUnknownError(f"{what}: {reason(error)}{said}") from failure
        time.sleep(_RETRY_S)


def _asked_once(client: MetadataClient, topic: str, timeout_s: float) -> list[int]:
    found = client.list_topics(topic, timeout=timeout_s).topics.get(topic)
    if found is not None and found.error is not None:
        raise KafkaException(found.error)
    if found is None or not found.partitions:
        # Every topic has at least one partition, so this is not an answer yet.
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    return list(found.partitions)
