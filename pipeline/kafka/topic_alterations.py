"""Alters existing topics: their settings, and more partitions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.topic_metadata import facts_of
from pipeline.ports import TopicFacts

_ASK_AGAIN_S: Final = 0.1


class TopicAlterations:
    """Alters one topic at a time. Raises TransportError when the cluster refuses."""

    def __init__(self, kafka: LibrdkafkaConfig, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._last_error = LastClientError()
        self._client = make_admin(plain_config(kafka), self._last_error)

    def set_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these topic settings. All others stay as they are."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self._do(
            lambda: self._client.incremental_alter_configs(
                [resource], request_timeout=self._timeout_s
            ),
            f"configuring topic {topic}",
        )
        self._wait_until(topic, lambda facts: config.items() <= facts.config.items())

    def add_partitions(self, topic: str, total: int) -> None:
        """Add partitions to a topic until it has `total`."""
        self._do(
            lambda: self._client.create_partitions(
                [NewPartitions(topic, total)],
                operation_timeout=self._timeout_s,
                request_timeout=self._timeout_s,
            ),
            f"adding partitions to topic {topic}",
        )
        self._wait_until(topic, lambda facts: facts.partitions >= total)

    def _wait_until(self, topic: str, known: Callable[[TopicFacts], bool]) -> None:
        """Wait until the brokers know what the controller has done already."""
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):
                facts = facts_of(self._client, [topic], self._timeout_s)
                if topic in facts and known(facts[topic]):
                    return
            time.sleep(_ASK_AGAIN_S)
        raise TransportError(f"altered, but not known to the brokers yet: topic {topic}")

    def _do(self, call: Callable[[], dict[Any, Any]], what: str) -> None:
        try:
            for future in call().values():
                future.result()
        except KafkaException as error:
            inner = kafka_error(error)
            raise refusal(inner, what) or TransportError(
                f"{what}: {reason(inner)}{self._last_error.sentence()}"
            ) from error
