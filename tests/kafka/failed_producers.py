"""A process whose producers fail and are dropped while brokers still answer their requests."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaError

from pipeline.core.record import Output, Role
from pipeline.errors import FencedError
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.session_config import SessionConfig
from pipeline.ports import TopicFacts
from pipeline.settings.model import load_settings
from pipeline.wiring import session_config
from tests.kafka.mock_cluster import Api, MockCluster

_ROUNDS: Final = 30
"""Without `clients.discard` a process lives for about five of them."""
_BROKERS: Final = 30
"""Each leads one partition, and so gets one request."""
_ANSWERS_PER_MS: Final = 3
_RAW: Final = "raw"
_ENRICHED: Final = "enriched"


def _config(cluster: MockCluster) -> SessionConfig:
    flags = {"kafka.bootstrap.servers": cluster.bootstrap_servers, "group": "g"}
    facts = {name: TopicFacts(name, _BROKERS, 1, {}) for name in (_RAW, _ENRICHED)}
    for name in facts:
        cluster.create_topic(name, _BROKERS)
    topics = {
        "topics.raw": _RAW,
        "topics.enriched": _ENRICHED,
        "topics.dead_letter": "dead-letters",
    }
    settings = load_settings(None, flags | topics, {})
    return session_config(settings, {Role.ENRICHED: _ENRICHED}, facts, None)


def _fail_one_by_one(cluster: MockCluster) -> None:
    """Fence a producer with every answer; some come while it is being destroyed."""
    for number in range(_BROKERS):
        code = [KafkaError.INVALID_PRODUCER_EPOCH]
        cluster.push(Api.PRODUCE, code, delay_ms=number // _ANSWERS_PER_MS, broker=number + 1)


def _drop_one() -> None:
    with MockCluster(_BROKERS) as cluster:
        producer = ExactlyOnceProducer(_config(cluster), LastClientError())
        _fail_one_by_one(cluster)
        producer.begin()
        for partition in range(_BROKERS):
            producer.send(Output(Role.ENRICHED, b"{}", None, [], 1, partition))
        try:
            producer.commit_outputs(time.monotonic())
        except FencedError:
            producer.drop()
        else:
            raise AssertionError


if __name__ == "__main__":
    for _ in range(_ROUNDS):
        _drop_one()
