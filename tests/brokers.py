"""Chooses the Kafka broker of the tests, and helps to fill and to read its topics.

The first that there is: the one at TRACK_TEST_BOOTSTRAP_SERVERS; one in Docker, when an engine
answers and has the images or can pull them; the embedded one. TRACK_TEST_REQUIRE_BROKER=1 makes
it a failure when there is none, else the tests that need one are skipped.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache
from typing import Final, NamedTuple, NoReturn, cast

import docker  # type: ignore[import-untyped]
import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.files import PROPERTIES
from pipeline.demo.local_kafka.jars import KAFKA_VERSION
from pipeline.demo.local_kafka.ports import free_port
from pipeline.kafka import Admin
from pipeline.kafka.topic_alterations import TopicAlterations
from pipeline.ports import TopicSpec

ADDRESS_VARIABLE: Final = "TRACK_TEST_BOOTSTRAP_SERVERS"
REQUIRE_VARIABLE: Final = "TRACK_TEST_REQUIRE_BROKER"
IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
_ENGINE_ANSWERS_S: Final = 5
_PULL_S: Final = 120
_CONTAINER_READY_S: Final = 60
_CLIENT_S: Final = 30
"""Time limit of each request to the broker."""
_PULL: Final = "import docker, sys; docker.from_env().images.pull(sys.argv[1])"


RECENT: Final = int(time.time() * 1000) - 3_600_000
"""A Kafka timestamp in epoch milliseconds, which is too recent for retention."""


class Choice(NamedTuple):
    """The broker that this test run uses."""

    description: str
    started: Callable[[], AbstractContextManager[str]]
    """Context manager that runs the broker and yields its bootstrap servers."""


class KafkaContainer(DockerContainer):
    """One combined node in Docker, on the same port inside and outside, which it advertises."""

    def __init__(self) -> None:
        self._port = free_port()
        super().__init__(IMAGE)
        addresses = {
            "listeners": f"PLAINTEXT://:{self._port},CONTROLLER://localhost:9093",
            "advertised.listeners": f"PLAINTEXT://{self.get_container_host_ip()}:{self._port}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        for name, value in (PROPERTIES | addresses).items():
            self.with_env("KAFKA_" + name.replace(".", "_").upper(), value)
        self.with_bind_ports(self._port, self._port)
        self.waiting_for(
            LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_CONTAINER_READY_S)
        )

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{self.get_container_host_ip()}:{self._port}"


@contextmanager
def _in_docker() -> Iterator[str]:
    with KafkaContainer() as container:
        yield container.bootstrap_servers


@contextmanager
def _embedded() -> Iterator[str]:
    with LocalKafka() as kafka:
        yield kafka.bootstrap_servers


@cache
def choose() -> Choice:
    """Choose the broker, once per run; may pull images."""
    given = os.environ.get(ADDRESS_VARIABLE)
    if given:
        return Choice(f"{given}, from {ADDRESS_VARIABLE}", lambda: nullcontext(given))
    obstacle = _obstacle_to_docker()
    if obstacle is None:
        return Choice(f"{IMAGE} in Docker", _in_docker)
    return Choice(f"Apache Kafka {KAFKA_VERSION}, embedded ({obstacle})", _embedded)


def _docker_client() -> docker.DockerClient | None:
    try:
        return docker.from_env(timeout=_ENGINE_ANSWERS_S)
    except DockerException:
        pass
    # It leaves its socket open when nobody answers, which would be the next test's warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return None


def _obstacle_to_docker() -> str | None:
    """Reason why no broker can be started in Docker; None when one can."""
    images = [
        IMAGE,
        *([] if testcontainers_config.ryuk_disabled else [testcontainers_config.ryuk_image]),
    ]
    client = _docker_client()
    if client is None:
        return "no Docker engine"
    with closing(client):
        try:
            client.ping()
        except (DockerException, OSError):
            return "the Docker engine does not answer"
        for image in images:
            try:
                client.images.get(image)
            except ImageNotFound:
                if not _pulled(image):
                    return f"{image} can't be pulled"
    return None


def _pulled(image: str) -> bool:
    """Pull an image in a process that can be killed, since the client has no time limit for it."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PULL, image], capture_output=True, timeout=_PULL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def no_broker(why: str) -> NoReturn:
    """Skip a test that needs a broker, or fail it when a broker is required."""
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_VARIABLE}=1, but there is no broker: {why}", pytrace=False)
    pytest.skip(why)


class Sent(NamedTuple):
    """A record to produce."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0
    """Epoch milliseconds; 0 lets the client take its clock."""
    partition: int = -1
    """-1 lets the client choose."""


class Stored(NamedTuple):
    """A record as a reader sees it."""

    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int
    """Epoch milliseconds."""
    partition: int
    offset: int


def unique(label: str) -> str:
    """A unique name for a topic, a group or a transactional id."""
    return f"test.{label}.{uuid.uuid4().hex[:12]}"


def create_topics(
    servers: str, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None
) -> None:
    """Create topics, and wait until they exist."""
    admin = Admin({"bootstrap.servers": servers}, _CLIENT_S)
    admin.create([TopicSpec(name, partitions, 1, config or {}) for name in names])


def delete_topics(servers: str, names: Iterable[str]) -> None:
    """Delete topics, of which some may not exist."""
    admin = AdminClient({"bootstrap.servers": servers})
    known = admin.list_topics(timeout=_CLIENT_S).topics
    existing = [name for name in names if name in known]
    if existing:
        for done in admin.delete_topics(existing, operation_timeout=_CLIENT_S).values():
            done.result(_CLIENT_S)


def add_partitions(servers: str, topic: str, total: int) -> None:
    """Add partitions to a topic, and wait until the brokers know of them."""
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.create_partitions([NewPartitions(topic, total)]).values():
        done.result(_CLIENT_S)
    deadline = time.monotonic() + _CLIENT_S
    while len(admin.list_topics(topic, timeout=_CLIENT_S).topics[topic].partitions) < total:
        assert time.monotonic() < deadline, f"nobody knows the new partitions of {topic}"
        time.sleep(0.05)


def set_topic_config(servers: str, topic: str, name: str, value: str) -> None:
    """Change one configuration value of a topic, and wait until the brokers know of it."""
    TopicAlterations({"bootstrap.servers": servers}, _CLIENT_S).set_config(topic, {name: value})


def delete_records(servers: str, topic: str, *, partition: int, before: int) -> None:
    """Delete the first records of a partition, as retention does."""
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.delete_records([TopicPartition(topic, partition, before)]).values():
        done.result(_CLIENT_S)


def produce(servers: str, topic: str, records: Iterable[Sent], *, largest: int = 1_000_000) -> None:
    """Write records of at most `largest` bytes in order; wait until all are acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            # In order without idempotence, whose producer id costs half a second of each client.
            # That holds while no request is refused: librdkafka sends the next one, which is queued
            # already, before it tries again. `Admin.create` waits until leaders refuse none.
            "max.in.flight.requests.per.connection": 1,
            "message.max.bytes": largest,
        }
    )
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    for sent in records:
        producer.produce(
            topic,
            value=sent.value,
            key=sent.key,
            headers=list(sent.headers),
            timestamp=sent.timestamp,
            partition=sent.partition,
            on_delivery=delivered,
        )
        producer.poll(0)
    unsent = producer.flush(_CLIENT_S)
    assert not unsent, f"{unsent} records were not acknowledged"
    assert not failures, failures[0].str()


def produce_in_transaction(
    servers: str, topic: str, records: Iterable[Sent], *, committed: bool = True
) -> None:
    """Write records in one transaction, which is committed or aborted."""
    producer = open_transaction(servers, topic, records, f"sender-{topic}")
    if committed:
        producer.commit_transaction(_CLIENT_S)
    else:
        producer.abort_transaction(_CLIENT_S)


def transactional_sender(servers: str, transactional_id: str) -> dict[str, str | int]:
    """Properties of a producer whose transactions stay open until it ends them.

    The broker does not, however long a slow machine takes for the rest of a test.
    """
    return {
        "bootstrap.servers": servers,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": 600_000,
    }


def open_transaction(
    servers: str, topic: str, records: Iterable[Sent], transactional_id: str
) -> Producer:
    """Write records in a transaction that the caller ends or leaves open."""
    producer = Producer({**transactional_sender(servers, transactional_id), "log_level": 0})
    producer.init_transactions(_CLIENT_S)
    producer.begin_transaction()
    for value, key, headers, timestamp, partition in records:
        producer.produce(topic, value, key, partition, timestamp=timestamp, headers=list(headers))
    producer.flush(_CLIENT_S)
    return producer


def is_stable(cluster: Admin, topic: str) -> bool:
    """Whether no transaction is open in a topic."""
    return cluster.extents(topic, stable=True) == cluster.extents(topic)


def wait_for_markers(servers: str, *topics: str) -> None:
    """Wait until no transaction is open in these topics: the end of one is answered earlier."""
    cluster = Admin({"bootstrap.servers": servers}, _CLIENT_S)
    deadline = time.monotonic() + _CLIENT_S
    for topic in topics:
        while not is_stable(cluster, topic):
            assert time.monotonic() < deadline, f"a transaction in {topic} does not end"
            time.sleep(0.01)


def read_topic(
    servers: str, topic: str, isolation: str = "read_committed", *, to_open: bool = False
) -> list[Stored]:
    """Read a topic from beginning to end; records are sorted by partition and offset.

    With `read_committed` it waits for transactions to end: a commit is answered before its markers
    are written. With `to_open` the end is where the first open transaction begins.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": unique("reader"),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "isolation.level": isolation,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=_CLIENT_S).topics[topic]
        assert found.error is None, found.error.str()
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in found.partitions])
        ends = dict.fromkeys(found.partitions, 0)
        if not to_open:
            cluster = Admin({"bootstrap.servers": servers}, _CLIENT_S)
            ends = {number: end for number, (_, end) in cluster.extents(topic).items()}
        return sorted(_to_the_end(consumer, ends), key=_place)
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer, ends: dict[int, int]) -> Iterator[Stored]:
    progressed = time.monotonic()
    while ends:
        messages = consumer.consume(1000, timeout=0.02)
        if messages:
            progressed = time.monotonic()
        assert time.monotonic() - progressed < _CLIENT_S, f"not reached: partition → end {ends}"
        for message in messages:
            error = message.error()
            if error is None:
                yield _stored(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's name
                number = _number(message.partition())
                if _number(message.offset()) >= ends.get(number, 0):
                    ends.pop(number, None)
            else:
                raise KafkaException(error)


def _stored(message: Message) -> Stored:
    return Stored(
        value=message.value(),
        key=message.key(),
        headers=cast("list[tuple[str, bytes | None]]", message.headers() or []),
        timestamp=message.timestamp()[1],
        partition=_number(message.partition()),
        offset=_number(message.offset()),
    )


def _number(value: int | None) -> int:
    assert value is not None
    return value


def _place(record: Stored) -> tuple[int, int]:
    return record.partition, record.offset
