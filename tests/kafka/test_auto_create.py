"""Brokers that create topics by themselves: nothing of ours makes them do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode, TransportError
from pipeline.kafka import Admin, Publisher, read_committed
from tests.brokers import RECENT, Sent, delete_topics, produce, unique
from tests.hostile import EVENT
from tests.kafka.worker_process import PATIENCE_S, Pipeline

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """A broker with Kafka's own default of auto.create.topics.enable."""
    with LocalKafka(properties={"auto.create.topics.enable": "true"}) as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture
def creating(servers: str, tmp_path: Path) -> Iterator[Pipeline]:
    """The topics of a pipeline on that broker."""
    made = Pipeline(servers, unique, tmp_path)
    made.create_topics()
    yield made
    made.end_all()


def _exists(servers: str, topic: str) -> bool:
    return topic in AdminClient({"bootstrap.servers": servers}).list_topics(timeout=30).topics


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
@pytest.mark.parametrize("role", ["enriched", "dead_letter"])
def test_a_deleted_output_topic_stays_deleted(creating: Pipeline, role: str, delivery: str) -> None:
    """The worker ends with the topic's name, and so do `check` and the next start."""
    topic = getattr(creating.names, role)
    settings = {"delivery": delivery, "transaction_timeout_ms": "10000"}
    record = Sent(EVENT if role == "enriched" else b"{", None, (), RECENT, 0)
    worker = creating.start(**settings)
    produce(creating.servers, creating.names.raw, [record])
    creating.wait_until_done()
    delete_topics(creating.servers, [topic])
    produce(creating.servers, creating.names.raw, [record] * 6)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    said = creating.text().splitlines()[-1]
    assert f"topic {topic}: the topic does not exist" in said
    for command in ("check", "run"):
        ran = creating.run(command)
        assert ran.code == ExitCode.KAFKA
        assert f"topics do not exist: {topic}" in ran.err
    assert not _exists(creating.servers, topic)
    assert f"create   {topic}" in creating.run("topics", "create", "--dry-run").out.decode()


def _publish(kafka: dict[str, str], topic: str) -> None:
    with Publisher({**kafka, "topic.metadata.propagation.max.ms": "500"}) as publisher:
        publisher.send(topic, b"{}")


@pytest.mark.parametrize(
    "ask",
    [
        lambda kafka, topic: Admin(kafka, 5.0).extents(topic),
        lambda kafka, topic: Admin(kafka, 5.0).committed("g", topic),
        lambda kafka, topic: list(read_committed(kafka, topic, 5.0)),
        _publish,
    ],
    ids=["extents", "committed", "read", "publish"],
)
def test_asking_for_a_topic_does_not_create_it(
    servers: str, ask: Callable[[dict[str, str], str], object]
) -> None:
    """No client creates a topic by asking for it, even with `allow.auto.create.topics`."""
    topic = unique("absent")
    kafka = {"bootstrap.servers": servers, "allow.auto.create.topics": "true"}
    with pytest.raises(TransportError, match=f"topic {topic}: the topic does not exist"):
        ask(kafka, topic)
    assert not _exists(servers, topic)


@pytest.mark.parametrize("table", ["kafka", "consumer", "producer"])
def test_no_setting_allows_it(creating: Pipeline, table: str) -> None:
    """The property is refused, as all are that a guarantee depends on."""
    ran = creating.run("check", env={f"TRACK_{table.upper()}_ALLOW_AUTO_CREATE_TOPICS": "true"})
    assert ran.code == ExitCode.USAGE
    assert "allow.auto.create.topics: can't be set" in ran.err
