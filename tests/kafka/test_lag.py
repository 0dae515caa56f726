"""The lag of a session: from what is committed to the ends that the broker tells, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import OFFSET_INVALID
from confluent_kafka.admin import AdminClient

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.kafka.end_offsets import EndOffsets
from pipeline.kafka.session import KafkaSession
from pipeline.ports import Batch, Lag
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import RECENT, Sent, produce
from tests.hostile import EVENT
from tests.kafka.mock_cluster import MockCluster
from tests.kafka.worker_process import PATIENCE_S, Pipeline

NOTE: Final = OffsetMetadata("1;0123456789ab", 0.0, 0, 0, 1, origin=False)


def _produce(pipeline: Pipeline, count: int) -> None:
    records = [Sent(EVENT, None, (), RECENT, number % 3) for number in range(count)]
    produce(pipeline.servers, pipeline.names.raw, records)


@pytest.fixture
def opened(pipeline: Pipeline) -> Iterator[Callable[[str], KafkaSession]]:
    """Opens sessions of one group, each with the transactional id of its own; closes them."""
    sessions: list[KafkaSession] = []

    def open_one(name: str) -> KafkaSession:
        flags = {f"topics.{role}": topic for role, topic in pipeline.names._asdict().items()}
        flags |= {
            "kafka.bootstrap.servers": pipeline.servers,
            "group": pipeline.names.raw,
            "transactional_id_prefix": name,
            "batch.max_records": "10",
            "consumer.heartbeat.interval.ms": "300",
        }
        settings = load_settings(None, flags, {})
        sessions.append(make_broker(settings, checked_topics(settings, print), None).open())
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


def _next(session: KafkaSession) -> Batch:
    """The next batch with records."""
    while not (batch := session.collect()).records:
        pass
    return batch


def _commit(session: KafkaSession, batch: Batch) -> None:
    session.begin()
    session.commit(batch.positions, NOTE, OutcomeCounts())


@pytest.mark.kafka
def test_what_is_not_committed_waits(
    pipeline: Pipeline, opened: Callable[[str], KafkaSession]
) -> None:
    """Records that are worked on count, and those that come while the worker is held."""
    _produce(pipeline, 60)
    session = opened("one")
    assert session.lag() is None
    batch = _next(session)
    _wait_for(session, Lag(3, 60))
    _commit(session, batch)
    _wait_for(session, Lag(3, 60 - len(batch.records)))
    batch = _next(session)
    session.pause(0.1)
    _produce(pipeline, 7)
    _wait_for(session, Lag(3, 60 - len(batch.records) + 7))


def _wait_for(session: KafkaSession, wanted: Lag) -> None:
    """A busy broker may be too slow for one answer; a figure that is told is right."""
    deadline = time.monotonic() + PATIENCE_S
    while (lag := session.lag()) != wanted:
        assert lag is None
        assert time.monotonic() < deadline


@pytest.mark.kafka
def test_more_workers_than_partitions(
    pipeline: Pipeline, opened: Callable[[str], KafkaSession]
) -> None:
    """One that is given no partition holds up nobody's sum: that it holds none is known."""
    _produce(pipeline, 9)
    sessions = [opened(name) for name in ("one", "two", "three", "four")]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for session in sessions:
            session.collect()
        lags = [session.lag() for session in sessions]
        known = sorted(filter(None, lags), key=lambda lag: lag.partitions)
        if known == [Lag(0, 0), Lag(1, 3), Lag(1, 3), Lag(1, 3)]:
            break
        assert time.monotonic() < deadline, lags


def test_brokers_that_do_not_answer() -> None:
    """No figure while there is no answer; nobody waits a second time for the same one."""
    with MockCluster() as cluster:
        cluster.create_topic("raw")
        produce(cluster.bootstrap_servers, "raw", [Sent(b"x")] * 3)
        ends = EndOffsets(AdminClient({"bootstrap.servers": cluster.bootstrap_servers}), "raw")
        _wait_for_an_answer(ends)
        cluster.down()
        assert ends.read([0]) is None
        assert ends.read([0]) is None
        cluster.up()
        _wait_for_an_answer(ends)


def test_an_answer_without_an_offset_is_no_answer() -> None:
    """An end that the client gives as invalid is unknown, and not a number to count with."""
    answer: Future[Any] = Future()
    answer.set_result(SimpleNamespace(offset=OFFSET_INVALID))
    client: Any = SimpleNamespace(
        list_offsets=lambda places, **_: dict.fromkeys(places, answer),
    )
    assert EndOffsets(client, "raw").read([0]) is None


def _wait_for_an_answer(ends: EndOffsets) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while ends.read([0]) != {0: 3}:
        assert time.monotonic() < deadline


def test_no_partitions_need_no_request() -> None:
    """Without partitions no broker is asked."""
    assert EndOffsets(AdminClient({"bootstrap.servers": "127.0.0.1:1"}), "raw").read([]) == {}
