"""Facts about topics, and their creation."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from pipeline.edges.kafka.clients import CLIENT_LOG, LibrdkafkaConfig, plain_config
from pipeline.edges.kafka.errors import Causes, kafka_error, reason, refusal
from pipeline.ports import TopicFacts, TopicSpec, TransportError

_ASK_EVERY_S: Final = 1.0


class Admin:
    """Asks and changes a cluster; every method raises TransportError with a sentence."""

    def __init__(self, kafka: LibrdkafkaConfig, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._servers = str(kafka.get("bootstrap.servers", ""))
        self._causes = Causes()
        config: dict[str, Any] = {**plain_config(kafka), "error_cb": self._causes}
        self._client = AdminClient(config, logger=CLIENT_LOG)

    def wait_until_reachable(self) -> int:
        """Wait for the cluster to answer; the number of brokers."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return len(self._client.list_topics(timeout=_ASK_EVERY_S).brokers)
            except KafkaException as error:
                known = refusal(kafka_error(error), "asking the cluster")
                if known is not None:
                    raise known from error
                if time.monotonic() > deadline:
                    raise self._unreachable() from error
                self._client.poll(0)  # the error callback runs only inside poll

    def _unreachable(self) -> TransportError:
        return TransportError(
            f"no Kafka broker answers at {self._servers} within {self._timeout_s:.0f} s"
            f"{self._causes.sentence()}. Is the address right (kafka.bootstrap.servers, "
            "TRACK_KAFKA_BOOTSTRAP_SERVERS), and do security.protocol and credentials fit?"
        )

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """The facts of those of the topics that exist."""
        wanted = list(names)
        try:
            known = self._client.list_topics(timeout=self._timeout_s).topics
            found = [name for name in wanted if name in known and known[name].error is None]
            configs = self._configs(found)
        except KafkaException as error:
            raise self._sentence(error, "asking for the topics") from error
        facts = {}
        for name in found:
            partitions = known[name].partitions
            replicas = min((len(p.replicas) for p in partitions.values()), default=0)
            facts[name] = TopicFacts(name, len(partitions), replicas, configs.get(name, {}))
        return facts

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=self._timeout_s)
        configs = {}
        for resource, future in answers.items():
            entries: dict[str, Any] = future.result()
            configs[resource.name] = {
                name: entry.value for name, entry in entries.items() if entry.value is not None
            }
        return configs

    def create(self, topics: Iterable[TopicSpec]) -> None:
        """Create topics; those that exist are left as they are."""
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.config),
            )
            for topic in topics
        ]
        for name, future in self._client.create_topics(
            new, operation_timeout=self._timeout_s, request_timeout=self._timeout_s
        ).items():
            try:
                future.result()
            except KafkaException as error:
                if kafka_error(error).name() != "TOPIC_ALREADY_EXISTS":
                    raise self._sentence(error, f"creating topic {name}") from error

    def _sentence(self, error: KafkaException, what: str) -> TransportError:
        inner = kafka_error(error)
        return refusal(inner, what) or TransportError(
            f"{what}: {reason(inner)}{self._causes.sentence()}"
        )
