"""A pipeline on the shared broker: topics, and workers as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.edges.local_kafka import LocalKafka
from tests.brokers import unique
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


@pytest.fixture
def own_pipeline(own_kafka: LocalKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on a broker of the test's own, which may be killed."""
    made = Pipeline(own_kafka.bootstrap_servers, unique, tmp_path)
    made.create_topics()
    yield made
    made.end_all()
