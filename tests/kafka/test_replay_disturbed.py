"""Replays whose broker goes away, and whose raw topic changes while they run."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from typing import Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Role
from pipeline.core.replay_checkpoint import read_checkpoint
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode
from pipeline.ports import TopicSpec
from tests.brokers import Sent, add_partitions, produce, read_topic, transactional_sender
from tests.fake_topics import event
from tests.kafka.replay_process import (
    LASTING,
    RECORDS,
    SLOW,
    begun,
    expected,
    filled,
    resumed,
    status,
    suspend_between_transactions,
    wait_for_records,
    written,
)
from tests.kafka.worker_process import PATIENCE_S, Pipeline

pytestmark = pytest.mark.kafka

_COMPACTED: Final = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.001",
    "segment.ms": "1000",
}
_IMPATIENT: Final = {
    "TRACK_MAX_RESETS": "1",
    "TRACK_STARTUP_TIMEOUT_S": "5",
    # Commits are given up soon; not by a short transaction_timeout_ms: Kafka loses the end of a
    # transaction that has expired when its broker comes back. So none may expire meanwhile.
    "TRACK_CONSUMER_MAX_POLL_INTERVAL_MS": "10000",
    "TRACK_TRANSACTION_TIMEOUT_MS": "300000",
    "TRACK_CONSUMER_SESSION_TIMEOUT_MS": "6000",
}


def test_replay_survives_a_broker_restart(own_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """A replay goes on by itself after a broker restart, and every source is written once."""
    filled(own_pipeline)
    process, id_ = begun(own_pipeline, "--rate", "400")
    wait_for_records(own_pipeline, id_, 300)
    own_kafka.kill()
    own_kafka.restart()
    assert process.wait(2 * PATIENCE_S) == ExitCode.OK, own_pipeline.text("command-1")
    assert '"ok":true' in own_pipeline.text("command-1")
    assert written(own_pipeline, id_) == expected(own_pipeline)


def test_replay_gives_up_when_the_broker_stays_away(
    own_pipeline: Pipeline, own_kafka: LocalKafka
) -> None:
    """A replay of one worker and one of two give up in the end, and say why and how to go on."""
    filled(own_pipeline)
    replays = [
        begun(own_pipeline, *LASTING, "--workers", workers, env=_IMPATIENT, number=number)
        for number, workers in enumerate(("1", "2"), 1)
    ]
    for _, id_ in replays:
        wait_for_records(own_pipeline, id_, 50)
    suspended = suspend_between_transactions(own_pipeline, replays)
    own_kafka.shut_down()
    for each in suspended:
        each.resume()
    for number, (process, id_) in enumerate(replays, 1):
        assert process.wait(2 * PATIENCE_S) == ExitCode.KAFKA
        said = own_pipeline.text(f"command-{number}")
        assert "Traceback" not in said
        assert "refused" in said.lower(), "what the client has seen"
        last = said.splitlines()[-1]
        assert last.endswith(f"Resume it with `track-pipeline replay --resume {id_}`")
    own_kafka.restart()
    for number, (_, id_) in enumerate(replays, 3):
        assert resumed(own_pipeline, id_, number)["verification"]["ok"]
        assert written(own_pipeline, id_) == expected(own_pipeline)


def test_hanging_transaction_is_not_committed(pipeline: Pipeline) -> None:
    """What is open in an output although all writers are gone is not committed by mistake."""
    filled(pipeline, 200)
    process, id_ = begun(pipeline, "--max", "50")
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    topic = f"{pipeline.names.enriched}.replay.{id_}"
    # Stands for one of the replay's own, whose marker a broker has skipped.
    hanging = Producer(transactional_sender(pipeline.servers, topic))
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(topic, b"{}", partition=1)
    hanging.flush(30)
    refused = pipeline.run("replay", "--resume", id_)
    assert refused.code == ExitCode.KAFKA
    assert f"{topic}/1 holds a transaction that has no end" in refused.err
    planned = status(pipeline, id_)["contract"]
    other = {"TRACK_DEFAULT_CURRENCY": "EUR"}
    assert pipeline.run("replay", "--resume", id_, "--force", env=other).code == ExitCode.KAFKA
    assert status(pipeline, id_)["contract"] == planned, "rules of a replay that it did not get"
    hanging.abort_transaction(30)
    assert resumed(pipeline, id_, 2)["verification"]["ok"]


def test_verification_waits_for_ends_of_transactions(pipeline: Pipeline) -> None:
    """What is committed behind a transaction that is still open is verified, too."""
    live = pipeline.names.enriched
    other = Producer(transactional_sender(pipeline.servers, live))
    other.init_transactions(30)
    other.begin_transaction()
    other.produce(live, b"{}", partition=0)
    other.flush(30)
    produce(pipeline.servers, pipeline.names.raw, [Sent(event(), b"k", (), 0, 0)])
    process, id_ = begun(pipeline, "--into-live")
    wait_for_records(pipeline, id_, 1)
    other.commit_transaction(30)
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")


def test_planned_records_are_replayed_though_the_raw_topic_grows(pipeline: Pipeline) -> None:
    """More records and partitions, also before a resume, change nothing of what was planned."""
    filled(pipeline)
    planned = expected(pipeline)
    process, id_ = begun(pipeline, *SLOW, "--workers", "2")
    wait_for_records(pipeline, id_, 300)
    raw = pipeline.names.raw
    add_partitions(pipeline.servers, raw, 5)
    pipeline.wait_for(lambda: len(pipeline.admin.extents(raw)) == 5, "new partitions")
    filled(pipeline, 200)
    wait_for_records(pipeline, id_, 600)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    filled(pipeline, 200)
    said = resumed(pipeline, id_, 2)
    assert (said["records"], said["verification"]["ok"]) == (RECORDS, True)
    assert written(pipeline, id_) == planned
    copies = read_topic(pipeline.servers, f"{pipeline.names.enriched}.replay.{id_}")
    sources = [(dict(each.headers)[TrackHeader.SOURCE] or b"").split(b"/")[1] for each in copies]
    assert [int(number) for number in sources] == [each.partition for each in copies]


def test_compacted_raw_topic_is_replayed(bare_pipeline: Pipeline) -> None:
    """Offsets without a record, at both bounds and where it goes on, do not hinder a replay."""
    pipeline, raw = bare_pipeline, bare_pipeline.names.raw
    pipeline.admin.create([TopicSpec(raw, 1, 1, _COMPACTED)])
    pipeline.create_topics(partitions=1)
    keys = [b"%d" % n if n % 2 else b"again" for n in range(400)]
    produce(pipeline.servers, raw, [Sent(event(), key, (), 0, 0) for key in keys])

    def is_compacted() -> bool:
        # What is in the latest_checkpoint segment stays; a later record begins a new one.
        produce(pipeline.servers, raw, [Sent(event(), b"last", (), 0, 0)])
        return all(each.offset % 2 for each in read_topic(pipeline.servers, raw)[:150])

    pipeline.wait_for(is_compacted, "compacting")
    process, id_ = begun(pipeline, "--from", "0:100", "--to", "0:301", "--rate", "8")
    wait_for_records(pipeline, id_, 5)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    (position,) = (part["position"] for part in status(pipeline, id_)["partitions"])
    assert position % 2 == 0, "it goes on at an offset without a record"
    said = resumed(pipeline, id_, 2)
    assert (said["records"], said["verification"]["ok"]) == (100, True)
    sources = Counter(f"{raw}/0/{offset}" for offset in range(101, 301, 2))
    assert written(pipeline, id_)[Role.ENRICHED] == sources


def _forget_offsets(pipeline: Pipeline, id_: str, partitions: Collection[int]) -> None:
    """As when they have expired; those of other partitions stay."""
    group, everything = f"track-replay.{id_}", range(3)
    config = {"bootstrap.servers": pipeline.servers, "group.id": group}
    with closing(Consumer({**config, "enable.auto.commit": False})) as consumer:
        places = [TopicPartition(pipeline.names.raw, number) for number in everything]
        known = consumer.committed(places, 30)
        for each in pipeline.admin._client.delete_consumer_groups([group]).values():  # noqa: SLF001
            each.result()
        kept = [each for each in known if each.partition not in partitions]
        if kept:
            consumer.commit(offsets=kept, asynchronous=False)


def _partition_of_the_last_note(pipeline: Pipeline, id_: str) -> int:
    """Of slot 0 of two."""
    config = {"bootstrap.servers": pipeline.servers, "group.id": f"track-replay.{id_}"}
    with closing(Consumer(config)) as consumer:
        places = [TopicPartition(pipeline.names.raw, number) for number in (0, 2)]
        notes = {
            each.partition: read_checkpoint(each.metadata)
            for each in consumer.committed(places, 30)
        }
    return max(notes, key=lambda number: getattr(notes[number], "number", 0))


@pytest.mark.parametrize("forgotten", ["all", "the last note's"])
def test_lost_offsets_of_several_slots_are_rebuilt(pipeline: Pipeline, forgotten: str) -> None:
    """Each slot's position is read from the outputs; nothing is duplicated, lost or miscounted."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING, "--workers", "2")
    wait_for_records(pipeline, id_, 300)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    # A transaction that is open holds the group until somebody else has its id.
    stopped = pipeline.start_command("replay", "--resume", id_, *LASTING)
    pipeline.wait_for(lambda: status(pipeline, id_)["owner"] is not None, "taking it over")
    wait_for_records(pipeline, id_, status(pipeline, id_)["records"] + 20)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    lost = {0, 1, 2} if forgotten == "all" else {_partition_of_the_last_note(pipeline, id_)}
    _forget_offsets(pipeline, id_, lost)
    assert resumed(pipeline, id_, 3)["verification"]["ok"]
    assert written(pipeline, id_) == expected(pipeline)
