"""Facts about topics, and their creation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from pipeline.edges.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.edges.kafka.errors import Causes, kafka_error, reason, refusal
from pipeline.ports import Stop, TopicFacts, TopicSpec, TransportError

_ASK_EVERY_S: Final = 1.0
_ASK_AGAIN_S: Final = 0.1
_PASSING: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""What a cluster answers for a moment, after a start or while a leader changes."""
_Answer = TypeVar("_Answer")


class Progress(NamedTuple):
    """Offsets that a group has committed, of all that a topic has."""

    committed: int
    total: int


class Admin:
    """Asks and changes a cluster; every method raises TransportError with a sentence."""

    def __init__(self, kafka: LibrdkafkaConfig, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._servers = str(kafka.get("bootstrap.servers", ""))
        self._causes = Causes()
        self._client = make_admin(plain_config(kafka), self._causes)

    def wait_until_reachable(
        self, on_wait: Callable[[str], None] | None = None, stop: Stop | None = None
    ) -> int:
        """Wait for the cluster to answer; the number of brokers, 0 after a stop was asked for.

        `on_wait` hears once, in a sentence, that it does not answer at once.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return len(self._client.list_topics(timeout=_ASK_EVERY_S).brokers)
            except KafkaException as error:
                known = refusal(kafka_error(error), "asking the cluster")
                if known is not None:
                    raise known from error
                if stop is not None and stop.is_set():
                    return 0
                if time.monotonic() > deadline:
                    raise self._unreachable() from error
                self._client.poll(0)  # the error callback runs only inside poll
                if on_wait is not None:
                    on_wait(
                        f"Kafka does not answer yet at {self._servers}{self._causes.sentence()}"
                    )
                    on_wait = None

    def _unreachable(self) -> TransportError:
        return TransportError(
            f"no Kafka broker answers at {self._servers} within {self._timeout_s:.0f} s"
            f"{self._causes.sentence()}. Is the address right (kafka.bootstrap.servers, "
            "TRACK_KAFKA_BOOTSTRAP_SERVERS), and do security.protocol and credentials fit?"
        )

    def _patiently(self, call: Callable[[], _Answer], what: str) -> _Answer:
        """Make the call again while the cluster is only not ready yet."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return call()
            except KafkaException as error:
                passing = kafka_error(error).code() in _PASSING
                if not passing or time.monotonic() > deadline:
                    raise self._sentence(error, what) from error
                time.sleep(_ASK_AGAIN_S)

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """The facts of those of the topics that exist (and that one may see)."""
        wanted = list(names)
        return self._patiently(lambda: self._facts(wanted), "asking for the topics")

    def _facts(self, wanted: list[str]) -> dict[str, TopicFacts]:
        known = self._client.list_topics(timeout=self._timeout_s).topics
        found = [name for name in wanted if name in known and known[name].error is None]
        configs = self._configs(found)
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
            try:
                entries: dict[str, Any] = future.result()
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
                continue  # without DESCRIBE_CONFIGS the topic's settings stay unknown
            configs[resource.name] = {
                name: entry.value for name, entry in entries.items() if entry.value is not None
            }
        return configs

    def progress(self, group: str, topic: str) -> Progress:
        """How far a group has committed a topic."""
        what = f"asking for the offsets of group {group}"
        return self._patiently(lambda: self._progress(group, topic), what)

    def _progress(self, group: str, topic: str) -> Progress:
        numbers = self._client.list_topics(topic, timeout=self._timeout_s).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in numbers]
        ends = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        begins = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        asked = ConsumerGroupTopicPartitions(group, places)
        (future,) = self._client.list_consumer_group_offsets(
            [asked], request_timeout=self._timeout_s
        ).values()
        committed = future.result().topic_partitions
        done = sum(
            max(0, place.offset - begins[place.partition]) if place.offset >= 0 else 0
            for place in committed
        )
        return Progress(done, sum(ends.values()) - sum(begins.values()))

    def _offsets(self, places: list[TopicPartition], which: OffsetSpec) -> dict[int, int]:
        answers = self._client.list_offsets(
            dict.fromkeys(places, which), request_timeout=self._timeout_s
        )
        return {place.partition: future.result().offset for place, future in answers.items()}

    def create(self, topics: Iterable[TopicSpec]) -> list[str]:
        """Create topics; the names of those that did not exist before."""
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.config),
            )
            for topic in topics
        ]
        created = []
        for name, future in self._client.create_topics(
            new, operation_timeout=self._timeout_s, request_timeout=self._timeout_s
        ).items():
            try:
                future.result()
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._sentence(error, f"creating topic {name}") from error
            else:
                created.append(name)
        return created

    def _sentence(self, error: KafkaException, what: str) -> TransportError:
        inner = kafka_error(error)
        return refusal(inner, what) or TransportError(
            f"{what}: {reason(inner)}{self._causes.sentence()}"
        )
