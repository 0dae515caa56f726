"""A Kafka broker for measurements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.settings.model import Settings, load_settings
from pipeline.topics import CreateOptions, specs
from pipeline.wiring import admin, topic_names

PARTITIONS: Final = 4


@contextmanager
def kafka_with_topics(console: Console) -> Iterator[Settings]:
    """Start a broker with the pipeline's topics, all empty; yields the settings to reach it."""
    with LocalKafka(jit=True, on_progress=lambda text: console.print(f"· {text}")) as kafka:
        settings = load_settings(None, {"kafka.bootstrap.servers": kafka.bootstrap_servers}, {})
        cluster = admin(settings)
        cluster.wait_until_reachable()
        cluster.create(specs(topic_names(settings), CreateOptions(PARTITIONS, 1, None, 1.0), None))
        yield settings
