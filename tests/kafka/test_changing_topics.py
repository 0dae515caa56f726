"""Topics that change under a running worker, and raw topics with holes in them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from typing import Final

import pytest
from confluent_kafka import Producer

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from tests.brokers import (
    RECENT,
    Sent,
    add_partitions,
    create_topics,
    delete_topics,
    produce,
    read_topic,
    set_topic_config,
)
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

pytestmark = pytest.mark.kafka

SEES_CHANGES: Final = {"consumer_topic_metadata_refresh_interval_ms": "500"}
"""The client asks for the number of partitions every five minutes by default."""


def _event(number: int) -> bytes:
    return json.dumps({"event": "Seen", "userId": f"u{number}"}).encode()


def _events(numbers: Iterable[int], partition: int = 0) -> list[Sent]:
    return [Sent(_event(n), f"k{n}".encode(), (), RECENT, partition) for n in numbers]


def _users(pipeline: Pipeline) -> list[int]:
    """The enriched events, sorted."""
    found = read_topic(pipeline.servers, pipeline.names.enriched)
    return sorted(int(json.loads(each.value or b"")["userId"][1:]) for each in found)


@pytest.mark.parametrize("outputs_too", [False, True])
def test_added_partitions_are_read_from_their_start(pipeline: Pipeline, outputs_too: bool) -> None:  # noqa: FBT001  a parameter
    """New partitions are read from their first record, without a word from the operator."""
    servers, names = pipeline.servers, pipeline.names
    worker = pipeline.start(**SEES_CHANGES)
    produce(servers, names.raw, _events(range(30)))
    pipeline.wait_until_done()
    if outputs_too:
        for topic in (names.enriched, names.dead_letter, names.identify):
            add_partitions(servers, topic, 5)
    add_partitions(servers, names.raw, 5)
    for partition in (3, 4):
        produce(
            servers, names.raw, _events(range(100 * partition, 100 * partition + 20), partition)
        )
    pipeline.wait_until_done()
    assert worker.poll() is None
    assert _users(pipeline) == [*range(30), *range(300, 320), *range(400, 420)]
    if outputs_too:
        places = {
            (dict(each.headers)[TrackHeader.SOURCE] or b"").split(b"/")[1]: each.partition
            for each in read_topic(servers, names.enriched)
        }
        assert places == {b"0": 0, b"3": 3, b"4": 4}


@pytest.mark.parametrize("more_than_before", [False, True])
def test_raw_topic_created_anew(pipeline: Pipeline, more_than_before: bool) -> None:  # noqa: FBT001  a parameter
    """Offsets of the topic that is gone are not used for the new one of the same name."""
    servers, names = pipeline.servers, pipeline.names
    worker = pipeline.start(**SEES_CHANGES)
    produce(servers, names.raw, _events(range(50)))
    pipeline.wait_until_done()
    worker.send_signal(signal.SIGSTOP)
    delete_topics(servers, [names.raw])
    create_topics(servers, names.raw, partitions=3)
    produce(servers, names.raw, _events(range(100, 180 if more_than_before else 110)))
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(PATIENCE_S) == ExitCode.DATA_LOSS
    said = pipeline.text().splitlines()[-1]
    assert f"topic {names.raw}" in said or f"{names.raw}/0" in said
    # Kafka deletes the group's offsets together with the topic, at some time.
    assert "--reset-offsets" in said or "--initial-offset" in said
    again = pipeline.start("w1", **SEES_CHANGES)
    assert again.wait(PATIENCE_S) == ExitCode.DATA_LOSS, "a restart must not go on silently either"


def test_gaps_of_compaction(pipeline: Pipeline) -> None:
    """Offsets that compaction has removed are no loss: every record that is there is read once."""
    servers, raw = pipeline.servers, pipeline.names.raw
    for name, value in {
        "cleanup.policy": "compact",
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.001",
        "max.compaction.lag.ms": "100",
    }.items():
        set_topic_config(servers, raw, name, value)
    for number in range(40):
        produce(servers, raw, [Sent(_event(number), b"same", (), RECENT + 1000 * number, 0)])
    pipeline.wait_for(lambda: len(read_topic(servers, raw)) < 40, "compaction")
    worker = pipeline.start()
    produce(servers, raw, _events(range(100, 110)))
    pipeline.wait_for(lambda: _users(pipeline)[-1:] == [109], "the last event")
    assert terminate(worker) == 0
    assert pipeline.lines("recovering") == []
    assert _users(pipeline) == sorted(set(_users(pipeline)))


def test_aborted_data_in_the_raw_topic(pipeline: Pipeline) -> None:
    """What a producer wrote and took back is not enriched; its gaps and markers stop nothing."""
    servers, names = pipeline.servers, pipeline.names
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": names.raw, "partitioner": "consistent"}
    )
    producer.init_transactions(30)
    for round_ in range(6):
        producer.begin_transaction()
        for number in range(10):
            user = round_ * 10 + number
            producer.produce(names.raw, _event(user), partition=user % 3, timestamp=RECENT)
        if round_ % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    worker = pipeline.start(batch__max_records="7")
    kept = [user for user in range(60) if user // 10 % 2 == 0]
    pipeline.wait_for(lambda: _users(pipeline) == kept, "the committed events")
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()
    assert set(pipeline.found()) == {Role.ENRICHED}
    assert pipeline.lines("recovering") == []


@pytest.mark.parametrize("static", [False, True])
def test_new_group_protocol(pipeline: Pipeline, static: bool) -> None:  # noqa: FBT001  a parameter
    """`group.protocol=consumer`: workers come and go, one is killed; every event is there once."""
    servers, raw = pipeline.servers, pipeline.names.raw
    settings = {"consumer_group_protocol": "consumer", "consumer_session_timeout_ms": ""}
    settings["batch__max_records"] = "50"
    if not static:
        settings["instance_id"] = ""
    first = pipeline.start("w1", **settings)
    produce(servers, raw, [e for n in range(3) for e in _events(range(n * 500, n * 500 + 500), n)])
    pipeline.wait_for(lambda: pipeline.committed() > 0, "the first commit")
    second = pipeline.start("w2", **{**settings, "transactional_id_prefix": "second"})
    pipeline.wait_for(lambda: bool(pipeline.lines("topics", "w2")), "the second worker")
    first.kill()
    first.wait()
    pipeline.start("w1", **settings)
    produce(servers, raw, _events(range(2000, 2050), 1))
    pipeline.wait_until_done()
    assert terminate(second) == 0
    assert pipeline.found() == pipeline.expected()
