"""A metadata answer with an error is never taken for a topic without partitions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from pipeline.core.record import Role
from pipeline.dlq.ledger_topic import LedgerTopic
from pipeline.errors import RefusedError, TransportError
from pipeline.kafka import Admin, RangeReader, read_committed
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.start_offsets import StartOffsetPolicy
from pipeline.ports import TopicFacts
from pipeline.settings.model import Settings, load_settings
from pipeline.wiring import session_config
from tests.kafka.mock_cluster import MockCluster

pytestmark = pytest.mark.kafka

TOPIC = "t"
NO_ANSWER = KafkaError.LEADER_NOT_AVAILABLE
Ask = Callable[[MockCluster], object]


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A cluster with one topic of two partitions, which holds a record."""
    with MockCluster() as mock:
        mock.create_topic(TOPIC, 2)
        producer = Producer({"bootstrap.servers": mock.bootstrap_servers})
        producer.produce(TOPIC, b"{}", partition=1)
        assert producer.flush(30) == 0
        yield mock


def _kafka(cluster: MockCluster) -> dict[str, str]:
    return {"bootstrap.servers": cluster.bootstrap_servers}


def _ledger(cluster: MockCluster) -> object:
    kafka = _kafka(cluster)
    ledger = LedgerTopic(Admin(kafka, 1.0), RangeReader(kafka, 1.0), TOPIC)
    return list(ledger.news(stable=True))


def _guard(cluster: MockCluster) -> object:
    """Where a group without offsets starts whose enriched topic holds an event."""
    cluster.create_topic("raw")
    flags = {"kafka.bootstrap.servers": cluster.bootstrap_servers, "startup_timeout_s": "1"}
    settings: Settings = load_settings(None, {**flags, "topics.raw": "raw"}, {})
    config = session_config(
        settings, {Role.ENRICHED: TOPIC}, {TOPIC: TopicFacts(TOPIC, 2, 1, {})}, None
    )
    consumer = Consumer({**_kafka(cluster), "group.id": "g"})
    try:
        policy = StartOffsetPolicy(config, LastClientError())
        return policy.resolve(consumer, [TopicPartition("raw", 0)], "")
    finally:
        consumer.close()


ASKS: dict[str, Ask] = {
    "extents": lambda cluster: Admin(_kafka(cluster), 1.0).extents(TOPIC),
    "committed offsets": lambda cluster: Admin(_kafka(cluster), 1.0).committed("g", TOPIC),
    "times": lambda cluster: Admin(_kafka(cluster), 1.0).offsets_at(TOPIC, 1),
    "reading": lambda cluster: list(read_committed(_kafka(cluster), TOPIC, 1.0)),
    "ledger of a redrive": _ledger,
    "guard against starting over": _guard,
}


@pytest.mark.parametrize("name", ASKS)
def test_a_topic_without_an_answer_is_not_empty(cluster: MockCluster, name: str) -> None:
    """An answer that does not come in time is an error that names the topic."""
    cluster.fail_topic(TOPIC, NO_ANSWER)
    with pytest.raises(TransportError, match=f"topic {TOPIC}: LEADER_NOT_AVAILABLE"):
        ASKS[name](cluster)


def test_an_error_that_passes_is_waited_for(cluster: MockCluster) -> None:
    """Within the start-up time the answer may become right."""
    admin = Admin(_kafka(cluster), 30.0)
    cluster.fail_topic(TOPIC, NO_ANSWER)
    threading.Timer(0.5, cluster.fail_topic, (TOPIC, KafkaError.NO_ERROR)).start()
    assert admin.extents(TOPIC) == {0: (0, 0), 1: (0, 1)}


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, f"topic {TOPIC}: the topic does not exist"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "grant this user DESCRIBE on the topic"),
    ],
)
@pytest.mark.parametrize("name", ASKS)
def test_a_topic_that_is_gone_or_hidden_is_named(
    cluster: MockCluster, name: str, code: int, sentence: str
) -> None:
    """What only the operator can mend is said at once, with what to do."""
    cluster.fail_topic(TOPIC, code)
    with pytest.raises(RefusedError, match=sentence):
        ASKS[name](cluster)


def test_a_partition_without_a_leader_is_not_passed_over(cluster: MockCluster) -> None:
    """A partition without a leader belongs to the topic, and what is asked of it fails."""
    cluster.lead(TOPIC, 1, None)
    with pytest.raises(TransportError, match=f"topic {TOPIC}"):
        Admin(_kafka(cluster), 1.0).extents(TOPIC)
