"""Dead letters of other systems go back to the topic that they are of, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.core.record import Headers
from pipeline.errors import ExitCode
from pipeline.topics import PLANS_TOPIC, CreateOptions, ledger_spec
from tests.brokers import RECENT, Sent, create_topics, produce, read_topic
from tests.kafka.worker_process import Pipeline
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka

OWN: Headers = [("trace", b"t-1"), ("empty", None)]
VALUE = b'{"event": "Order", "userId": "u", "amount": "1,5"}'


def _connect(topic: str, partition: int, offset: int) -> Headers:
    """The headers of Kafka Connect that name a record."""
    place = {"topic": topic, "partition": partition, "offset": offset}
    added = [(f"__connect.errors.{name}", str(each).encode()) for name, each in place.items()]
    return [*OWN, *added, ("__connect.errors.stage", b"VALUE_CONVERTER")]


@pytest.fixture
def source(pipeline: Pipeline, topic_name: Callable[[str], str]) -> str:
    """A topic of another system, with more partitions than ours; there is a ledger."""
    pipeline.admin.create([ledger_spec(pipeline.names, CreateOptions(1, 1, None, 30.0), None)])
    topic = topic_name("orders")
    create_topics(pipeline.servers, topic, partitions=5)
    return topic


def _refuse(pipeline: Pipeline, *headers: Headers, value: bytes | None = VALUE) -> None:
    sent = [Sent(value, b"k", each, RECENT, 0) for each in headers]
    produce(pipeline.servers, pipeline.names.dead_letter, sent)


def _redrive(pipeline: Pipeline, *flags: str) -> Ran:
    return pipeline.run("dlq", "redrive", "--json", "--execute", *flags)


def _documents(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


@pytest.mark.parametrize("to", ["enriched", "raw"])
def test_not_where_our_events_go(pipeline: Pipeline, source: str, to: str) -> None:
    """A record of another topic is not an event of ours, even if the rules let it pass."""
    _refuse(pipeline, _connect(source, 4, 7))
    flags = ("--to", to, "--force")
    if to == "raw":
        worker = pipeline.start(accept_origin_headers="true")
        produce(pipeline.servers, pipeline.names.raw, [Sent(VALUE)])
        pipeline.wait_until_done()
        worker.terminate()
        worker.wait()
    raw, enriched = pipeline.names.raw, pipeline.names.enriched
    before = [read_topic(pipeline.servers, topic) for topic in (raw, enriched)]
    ran = _redrive(pipeline, *flags)
    assert ran.code == ExitCode.DIFFERENCE, ran.err
    why = f"of topic {source}, not {raw}: --to source sends it back"
    assert _documents(ran)[0]["not_sent"] == {why: 1}
    assert [read_topic(pipeline.servers, topic) for topic in (raw, enriched)] == before


def test_back_as_it_was(pipeline: Pipeline, source: str) -> None:
    """Value, key, own headers, time and partition are kept; it is sent once only."""
    _refuse(pipeline, _connect(source, 4, 7))
    plan, done = _documents(_redrive(pipeline, "--to", "source"))
    assert (plan["to"], plan["send"], done["done"]) == (source, 1, 1)
    (back,) = read_topic(pipeline.servers, source)
    assert (back.value, back.key, back.timestamp, back.partition) == (VALUE, b"k", RECENT, 4)
    assert list(back.headers) == list(OWN)
    # What was redriven is left out, so nothing that names a topic is left.
    assert _redrive(pipeline, "--to", "source").code == ExitCode.USAGE
    assert len(read_topic(pipeline.servers, source)) == 1
    (run,) = _documents(pipeline.run("dlq", "history", "--json"))
    assert (run["action"], run["target"]) == ("redriven", source)


def test_repaired_records_go_back(pipeline: Pipeline, source: str) -> None:
    """A repair works on JSON, nothing is added to it, and a tombstone stays one."""
    _refuse(pipeline, _connect(source, 0, 1))
    _refuse(pipeline, _connect(source, 0, 2), value=None)
    flags = ("--to", "source", "--everywhere", "--replace", "/amount=,=.")
    assert _redrive(pipeline, *flags).code == 0
    values = [each.value for each in read_topic(pipeline.servers, source)]
    assert values == [b'{"event":"Order","userId":"u","amount":"1.5"}', None]


def test_several_topics_are_refused(pipeline: Pipeline, source: str) -> None:
    """Only one topic at a time is accepted, and it must exist."""
    _refuse(pipeline, _connect(source, 0, 1), _connect("gone", 0, 1), OWN)
    ran = _redrive(pipeline, "--to", "source")
    assert ran.code == ExitCode.USAGE
    assert f"from several topics (gone, {source}): choose one with --source" in ran.err
    ran = _redrive(pipeline, "--to", "source", "--source", "gone")
    assert ran.code == ExitCode.KAFKA
    assert "topics do not exist: gone" in ran.err
    assert _redrive(pipeline, "--to", "source", "--source", source).code == 0
    assert len(read_topic(pipeline.servers, source)) == 1


def test_back_to_a_topic_that_has_another_role(pipeline: Pipeline, source: str) -> None:
    """Whoever may write to a dead-letter topic must not gain writing to any other topic."""
    del source
    topics = [pipeline.names.enriched, pipeline.names.identify, "other.ledger", PLANS_TOPIC]
    for number, topic in enumerate(topics):
        _refuse(pipeline, _connect(topic, 0, number))
    for topic in topics:
        ran = _redrive(pipeline, "--to", "source", "--source", topic)
        assert ran.code == ExitCode.USAGE, topic
        assert f"they state that they came from {topic}, " in ran.err


def test_back_to_the_raw_topic(pipeline: Pipeline, source: str) -> None:
    """The worker would take it for a new event, so other ways are named."""
    del source
    _refuse(pipeline, _connect(pipeline.names.raw, 0, 1))
    ran = _redrive(pipeline, "--to", "source")
    assert ran.code == ExitCode.USAGE
    assert "use --to raw, or --to enriched" in ran.err
    assert _redrive(pipeline, "--to", "source", "--topic", pipeline.names.raw).code != 0
