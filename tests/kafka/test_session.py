"""A session whose transaction ends without it: by the broker's time-out, or by another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import TrackHeader
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output, Role
from pipeline.errors import FencedError, OutcomeUnknownError
from pipeline.kafka.session import KafkaBroker, KafkaSession
from pipeline.ports import Batch
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import RECENT, Sent, produce
from tests.hostile import EVENT
from tests.kafka.worker_process import Pipeline

pytestmark = pytest.mark.kafka

MORE = 20_000
"""Sends; long before that the client knows that it is fenced."""
NOTE = OffsetMetadata("1;0123456789ab", 0.0, 0, 0, 1, origin=False)
OUTPUT = Output(Role.ENRICHED, b"{}", None, [(TrackHeader.SOURCE, b"t/0/0")], RECENT, 0)


@pytest.fixture
def broker(pipeline: Pipeline, request: pytest.FixtureRequest) -> KafkaBroker:
    """Sessions on the pipeline's topics; the parameter is their transaction_timeout_ms."""
    flags = {f"topics.{name}": topic for name, topic in pipeline.names._asdict().items()}
    flags |= {
        "kafka.bootstrap.servers": pipeline.servers,
        "group": pipeline.names.raw,
        "transaction_timeout_ms": request.param,
        # Each record is sent at once, so that a delivery report can say what became of it.
        "producer.linger.ms": "0",
    }
    produce(pipeline.servers, pipeline.names.raw, [Sent(EVENT, None, (), RECENT, 0)])
    settings = load_settings(None, flags, {})
    return make_broker(settings, checked_topics(settings, print), None)


@pytest.fixture
def opened(broker: KafkaBroker) -> Iterator[Callable[[], KafkaSession]]:
    """Opens sessions, and closes them in the end."""
    sessions: list[KafkaSession] = []

    def open_one() -> KafkaSession:
        sessions.append(broker.open())
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


def _batch(session: KafkaSession) -> Batch:
    """The one raw record."""
    while not (batch := session.collect()).records:
        pass
    return batch


def _go_on(session: KafkaSession, batch: Batch, sends: int) -> None:
    """The rest of a transaction."""
    for _ in range(sends):
        session.send(OUTPUT)
    session.commit(batch.positions, NOTE, OutcomeCounts())


def _end(pipeline: Pipeline) -> int:
    """End offset of the enriched partition: outputs, and one marker for each ended transaction."""
    consumer = Consumer({"bootstrap.servers": pipeline.servers, "group.id": "look"})
    try:
        place = TopicPartition(pipeline.names.enriched, 0)
        return int(consumer.get_watermark_offsets(place, timeout=10)[1])
    finally:
        consumer.close()


@pytest.mark.parametrize("broker", ["1000"], indirect=True)
@pytest.mark.parametrize("sends_more", [False, True])
def test_ended_by_the_broker(
    pipeline: Pipeline,
    opened: Callable[[], KafkaSession],
    sends_more: bool,  # noqa: FBT001  a parameter
) -> None:
    """A transaction that took too long is no sign of another process: the session starts anew."""
    session = opened()
    batch = _batch(session)
    session.begin()
    session.send(OUTPUT)
    pipeline.wait_for(lambda: _end(pipeline) == 2, "the broker's time-out")
    with pytest.raises(OutcomeUnknownError, match="longer than transaction_timeout_ms"):
        _go_on(session, batch, MORE if sends_more else 0)


@pytest.mark.parametrize("broker", ["60000"], indirect=True)
@pytest.mark.parametrize("sends_more", [False, True])
def test_fenced_by_another_process(
    opened: Callable[[], KafkaSession],
    sends_more: bool,  # noqa: FBT001  a parameter
) -> None:
    """A second session with the same transactional id ends the first one's transaction."""
    older = opened()
    batch = _batch(older)
    older.begin()
    older.send(OUTPUT)
    opened()
    with pytest.raises(FencedError, match="another live process"):
        _go_on(older, batch, MORE if sends_more else 0)
