"""A pipeline on the shared broker: topics, and workers as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import LocalKafkaError
from tests.brokers import delete_topics, no_broker, unique
from tests.kafka.secure import SecureKafka
from tests.kafka.worker_process import Pipeline


@pytest.fixture
def bare_pipeline(
    bootstrap_servers: str, topic_name: Callable[[str], str], tmp_path: Path
) -> Iterator[Pipeline]:
    """A pipeline whose topics do not exist yet."""
    made = Pipeline(bootstrap_servers, topic_name, tmp_path)
    yield made
    made.end_all()


@pytest.fixture
def pipeline(bare_pipeline: Pipeline) -> Pipeline:
    """A pipeline whose topics exist."""
    bare_pipeline.create_topics()
    return bare_pipeline


@pytest.fixture(scope="module")
def module_pipeline(
    bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """One for all tests of a module."""
    made = Pipeline(bootstrap_servers, unique, tmp_path_factory.mktemp("pipeline"))
    made.create_topics()
    yield made
    made.end_all()
    delete_topics(bootstrap_servers, made.names)


@pytest.fixture(scope="module")
def _broker_of_the_module() -> Iterator[LocalKafka]:
    kafka = LocalKafka()
    yield kafka
    kafka.stop()


@pytest.fixture
def own_kafka(_broker_of_the_module: LocalKafka) -> LocalKafka:
    """A running broker that a test may kill and restart; the module's tests share it in turn."""
    try:
        _broker_of_the_module.start()  # again, when the test before has left it killed
    except LocalKafkaError as error:
        no_broker(str(error))
    return _broker_of_the_module


@pytest.fixture
def own_pipeline(own_kafka: LocalKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on a broker that the test may kill."""
    made = Pipeline(own_kafka.bootstrap_servers, unique, tmp_path)
    made.create_topics()
    yield made
    made.end_all()


@pytest.fixture(scope="module")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker with TLS, logins and ACLs; what one test grants, the next takes away."""
    kafka = SecureKafka(tmp_path_factory.mktemp("secure"))
    try:
        kafka.start()
    except LocalKafkaError as error:
        no_broker(str(error))
    yield kafka
    kafka.stop()


@pytest.fixture
def secure_pipeline(secure_kafka: SecureKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose topics exist, on the broker with ACLs; its workers have no rights yet."""
    secure_kafka.allow_only([])
    made = Pipeline(secure_kafka.servers, unique, tmp_path)
    made.create_topics(with_other=True)
    yield made
    made.end_all()
