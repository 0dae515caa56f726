"""Topics as the cluster reports them: partitions, settings, permitted operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from pipeline.kafka.errors import kafka_error
from pipeline.kafka.topic_ids import topic_id
from pipeline.ports import TopicFacts


def facts_of(client: AdminClient, wanted: list[str], timeout_s: float) -> dict[str, TopicFacts]:
    """Return the facts of those topics that exist or are hidden from this client.

    KafkaException.
    """
    facts = {}
    answers = client.describe_topics(
        TopicCollection(wanted), include_authorized_operations=True, request_timeout=timeout_s
    )
    for name, future in answers.items():
        try:
            facts[name] = _without_config(future.result())
        except KafkaException as error:
            code = kafka_error(error).code()
            if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                facts[name] = TopicFacts(name, 0, 0, {}, frozenset())
            elif code != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    visible = [name for name, topic in facts.items() if topic.partitions]
    configs = _configs(client, ResourceType.TOPIC, visible, timeout_s)
    return {name: topic._replace(config=configs.get(name, {})) for name, topic in facts.items()}


def _without_config(topic: Any) -> TopicFacts:  # noqa: ANN401  the client's, whose stubs are wrong
    replicas = min((len(each.replicas) for each in topic.partitions), default=0)
    in_sync = min((len(each.isr) for each in topic.partitions), default=0)
    allowed = topic.authorized_operations
    operations = None if allowed is None else frozenset(each.name for each in allowed)
    return TopicFacts(
        topic.name, len(topic.partitions), replicas, {}, operations, topic_id(topic), in_sync
    )


def broker_config(client: AdminClient, broker: int, timeout_s: float) -> dict[str, str]:
    """Return a broker's settings; empty without DESCRIBE_CONFIGS on the cluster. KafkaException."""
    name = str(broker)
    return _configs(client, ResourceType.BROKER, [name], timeout_s).get(name, {})


def _configs(
    client: AdminClient, kind: ResourceType, names: Iterable[str], timeout_s: float
) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(kind, name) for name in names]
    if not resources:
        return {}
    hidden = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
    configs = {}
    for resource, future in client.describe_configs(resources, request_timeout=timeout_s).items():
        try:
            entries: dict[str, Any] = future.result()
        except KafkaException as error:
            if kafka_error(error).code() not in hidden:
                raise
            continue  # without the DESCRIBE_CONFIGS permission the settings stay unknown
        configs[resource.name] = {
            name: entry.value for name, entry in entries.items() if entry.value is not None
        }
    return configs
