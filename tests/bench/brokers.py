"""A Kafka broker for measurements, and topics on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.kafka import Publisher
from pipeline.settings.model import Settings, load_settings
from pipeline.topics import CreateOptions, ledger_spec, specs
from pipeline.wiring import admin, topic_names
from tests.bench.results import Report

PARTITIONS: Final = 4
_PROPERTIES: Final = {
    # Workers that start together join together: no rebalance while they are measured.
    "group.initial.rebalance.delay.ms": "2000",
    "log.retention.check.interval.ms": "10000",
}
_KEPT: Final = {"segment.bytes": str(64 << 20), "retention.bytes": str(256 << 20)}
"""Retention of the outputs, which nobody reads: each run writes them all again."""
_TOPICS: Final = ("raw", "enriched", "dead_letter", "identify")


class RawValue(NamedTuple):
    """What is written as one raw record."""

    value: bytes | None
    key: bytes | None


@contextmanager
def broker(report: Report) -> Iterator[str]:
    """Start a broker without topics; yields the bootstrap servers."""
    with LocalKafka(jit=True, properties=_PROPERTIES, on_progress=report.progress) as kafka:
        admin(bench_settings(kafka.bootstrap_servers)).wait_until_reachable()
        yield kafka.bootstrap_servers


@contextmanager
def kafka_with_topics(report: Report) -> Iterator[Settings]:
    """Start a broker with the pipeline's topics, all empty; yields the settings to reach it."""
    with broker(report) as servers:
        settings = bench_settings(servers)
        create_topics(settings, PARTITIONS)
        yield settings


def topic_flags(prefix: str) -> dict[str, str]:
    """Return settings that give the topics names of their own."""
    return {f"topics.{role}": f"{prefix}.{role.replace('_', '-')}" for role in _TOPICS}


def bench_settings(servers: str, flags: dict[str, str] | None = None) -> Settings:
    """Return the default settings for this broker, with the given ones changed."""
    return load_settings(None, {"kafka.bootstrap.servers": servers, **(flags or {})}, {})


def create_topics(settings: Settings, partitions: int, *, for_tools: bool = False) -> None:
    """Create the topics of these settings: outputs are deleted soon, unless tools are to read them.

    A ledger is only there for the tools, too.
    """
    names, options = topic_names(settings), CreateOptions(partitions, 1, None, 1.0)
    planned = specs(names, options, None)
    if for_tools:
        planned.append(ledger_spec(names, options, None))
    else:
        planned = [
            spec if spec.name == names.raw else spec._replace(config={**spec.config, **_KEPT})
            for spec in planned
        ]
    admin(settings).create(planned)


def fill(settings: Settings, values: Iterable[RawValue]) -> int:
    """Write raw records with the present time, which retention looks at; returns their number."""
    written, topic = 0, settings.topics.raw
    with Publisher(settings.kafka) as publisher:
        for value, key in values:
            publisher.send(topic, value, key)
            written += 1
    return written
