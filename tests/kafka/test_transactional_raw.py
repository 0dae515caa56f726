"""A raw topic whose senders use transactions: not every offset has a record that a reader sees."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.ports import Lag
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import (
    RECENT,
    Sent,
    delete_records,
    open_transaction,
    produce,
    produce_in_transaction,
    read_topic,
    set_topic_config,
    wait_for_markers,
)
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.unit.worker.harness import Remembering, make_worker, processor

pytestmark = pytest.mark.kafka

PARTITIONS = 3
LEAVES_ITS_GROUP = {"instance_id": "", "consumer_session_timeout_ms": ""}
_CLIENT_S = 30.0


def _event(user: int, partition: int) -> Sent:
    return Sent(_value(user), b"k", (), RECENT + user, partition)


def _value(user: int) -> bytes:
    return json.dumps({"event": "Order Completed", "userId": f"u{user}"}).encode()


def _events(users: Sequence[int]) -> list[Sent]:
    return [_event(user, user % PARTITIONS) for user in users]


def _users(pipeline: Pipeline) -> list[int]:
    """Of the enriched events, sorted."""
    enriched = read_topic(pipeline.servers, pipeline.names.enriched)
    return sorted(int(json.loads(each.value or b"")["userId"][1:]) for each in enriched)


def _delete_all(pipeline: Pipeline) -> None:
    """Delete everything that is in the raw topic, as retention does after a quiet time."""
    raw = pipeline.names.raw
    wait_for_markers(pipeline.servers, raw)
    for number, (_, end) in pipeline.admin.extents(raw).items():
        delete_records(pipeline.servers, raw, partition=number, before=end)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_markers_that_retention_has_removed(pipeline: Pipeline, delivery: str) -> None:
    """A worker that comes back after the log was removed goes on: nothing was lost."""
    servers, raw = pipeline.servers, pipeline.names.raw
    produce_in_transaction(servers, raw, _events(range(6)))
    produce_in_transaction(servers, raw, _events(range(100, 106)), committed=False)
    worker = pipeline.start(delivery=delivery)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    _delete_all(pipeline)
    worker = pipeline.start(delivery=delivery)
    produce_in_transaction(servers, raw, _events(range(6, 9)))
    pipeline.wait_for(lambda: len(_users(pipeline)) >= 9, "the new events")
    assert terminate(worker) == 0
    assert _users(pipeline) == list(range(9))


def test_markers_that_retention_has_removed_before_a_rebalance(pipeline: Pipeline) -> None:
    """A second worker joins: both go on, though the first one has read what is not there."""
    servers, raw = pipeline.servers, pipeline.names.raw
    produce_in_transaction(servers, raw, _events(range(6)))
    first = pipeline.start("w1", **LEAVES_ITS_GROUP)
    pipeline.wait_until_done()
    _delete_all(pipeline)
    more = {**LEAVES_ITS_GROUP, "transactional_id_prefix": "second", "stats_interval_s": "1"}
    second = pipeline.start("w2", **more)
    pipeline.wait_for(
        lambda: any(line["lag"] == 0 for line in pipeline.lines("statistics", "w2")),
        "sharing the partitions",
    )
    produce_in_transaction(servers, raw, _events(range(6, 12)))
    pipeline.wait_until_done()
    assert (terminate(first), terminate(second)) == (0, 0)
    assert _users(pipeline) == list(range(12))


def _open_transaction(pipeline: Pipeline, records: Sequence[Sent]) -> Producer:
    """A transaction with these records that nobody has ended yet."""
    raw = pipeline.names.raw
    return open_transaction(pipeline.servers, raw, records, f"open-{raw}")


def test_nothing_is_committed_behind_an_open_transaction(pipeline: Pipeline) -> None:
    """No commit passes the first record of an open transaction, however often workers restart."""
    servers, raw = pipeline.servers, pipeline.names.raw
    produce_in_transaction(servers, raw, [_event(0, 0)])
    producer = _open_transaction(pipeline, [_event(10, 0), _event(11, 0)])
    produce_in_transaction(servers, raw, [_event(1, 0), _event(2, 1)])
    for instance in ("w1", "w2"):
        worker = pipeline.start(instance, stats_interval_s="1", **LEAVES_ITS_GROUP)
        pipeline.wait_for(lambda: pipeline.admin.committed(raw, raw).get(1) == 2, "its start")
        pipeline.wait_for(
            lambda name=instance: any(  # type: ignore[misc]
                line["lag"] == 4 for line in pipeline.lines("statistics", name)
            ),
            "the lag of what is open, and behind it",
        )
        assert pipeline.admin.committed(raw, raw)[0] == 2
        assert terminate(worker) == 0
    assert _users(pipeline) == [0, 2]
    worker = pipeline.start("w3", **LEAVES_ITS_GROUP)
    producer.commit_transaction(_CLIENT_S)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert _users(pipeline) == [0, 1, 2, 10, 11]


def test_worker_that_was_killed_in_front_of_a_marker(pipeline: Pipeline) -> None:
    """When the log is gone nobody can tell what it held: it stops; a loss is accepted once."""
    servers, raw = pipeline.servers, pipeline.names.raw
    produce_in_transaction(servers, raw, [_event(0, 0)])
    consumer = Consumer({"bootstrap.servers": servers, "group.id": raw})
    consumer.commit(offsets=[TopicPartition(raw, 0, 1)], asynchronous=False)
    consumer.close()
    _delete_all(pipeline)
    worker = pipeline.start()
    assert worker.wait(PATIENCE_S) == ExitCode.DATA_LOSS
    said = pipeline.text().splitlines()[-1]
    assert f"{raw}/0: offset 1 does not exist" in said
    assert "whether they held records can't be determined any more" in said
    worker = pipeline.start("w2", on_data_loss="continue")
    pipeline.wait_for(lambda: pipeline.admin.committed(raw, raw).get(0) == 2, "the new position")
    assert terminate(worker) == 0
    assert sum(line["lost"] for line in pipeline.lines("statistics", "w2")) == 1
    worker = pipeline.start("w3")
    produce_in_transaction(servers, raw, [_event(1, 0)])
    pipeline.wait_for(lambda: _users(pipeline) == [1], "the next event")
    assert terminate(worker) == 0


def test_compacted_topic_is_committed_to_its_end(pipeline: Pipeline) -> None:
    """Everything in a compacted topic is committed in the end, and nothing is missed."""
    servers, raw = pipeline.servers, pipeline.names.raw
    for name, value in {
        "cleanup.policy": "compact",
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.001",
        "max.compaction.lag.ms": "100",
    }.items():
        set_topic_config(servers, raw, name, value)
    for user in range(12):
        produce_in_transaction(servers, raw, [_event(user, 0)], committed=user % 4 != 3)
    pipeline.wait_for(lambda: len(read_topic(servers, raw)) < 9, "compaction")
    worker = pipeline.start()
    pipeline.wait_until_done()
    produce_in_transaction(servers, raw, [_event(20, 0)], committed=False)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert _users(pipeline)[-1] == 10
    assert pipeline.lines("recovering") == []


class _Senders:
    """Write at random: plain records, transactions that are committed, aborted or left open."""

    def __init__(self, pipeline: Pipeline, dice: random.Random) -> None:
        self._pipeline, self._dice = pipeline, dice
        self._users = iter(range(1_000_000))
        self._open: tuple[Producer, list[int]] | None = None
        self.seen: list[int] = []
        """Users of the events that a reader sees, sooner or later."""

    def write(self) -> None:
        """One of all that may happen."""
        servers, raw = self._pipeline.servers, self._pipeline.names.raw
        users = [next(self._users) for _ in range(self._dice.randint(1, 4))]
        records = [_event(user, self._dice.randrange(PARTITIONS)) for user in users]
        match self._dice.randrange(6):
            case 0 | 1:
                produce(servers, raw, records)
                self.seen += users
            case 2:
                produce_in_transaction(servers, raw, records)
                self.seen += users
            case 3:
                produce_in_transaction(servers, raw, records, committed=False)
            case _ if self._open is None:
                self._open = _open_transaction(self._pipeline, records), users
            case _:
                self.end()

    def end(self) -> None:
        """Commit or abort the transaction that is open."""
        if self._open is None:
            return
        (producer, users), self._open = self._open, None
        if self._dice.random() < 0.5:
            producer.abort_transaction(_CLIENT_S)
        else:
            producer.commit_transaction(_CLIENT_S)
            self.seen += users


class _Workers:
    """One worker after the other, in a thread of this process."""

    def __init__(self, pipeline: Pipeline, delivery: str) -> None:
        self._flags = {f"topics.{n}": topic for n, topic in pipeline.names._asdict().items()}
        self._flags |= {
            "kafka.bootstrap.servers": pipeline.servers,
            "group": pipeline.names.raw,
            "delivery": delivery,
            "batch.max_records": "5",
            "batch.linger_ms": "20",
            "consumer.fetch.wait.max.ms": "20",
        }
        self.failures: list[Exception] = []
        self._start()

    def _start(self) -> None:
        self._stop = threading.Event()
        self.meter = Remembering(self._stop, 1_000_000)
        self._thread = threading.Thread(target=self._run, args=(self._stop, self.meter))
        self._thread.start()

    def _run(self, stop: threading.Event, meter: Remembering) -> None:
        settings = load_settings(None, self._flags, {})
        broker = make_broker(settings, checked_topics(settings, print), None)
        try:
            make_worker(broker, processor(), meter).run(stop)
        except Exception as error:  # noqa: BLE001  the test looks at it
            self.failures.append(error)

    def stop(self) -> None:
        """Finish the transaction at hand."""
        self._stop.set()
        self._thread.join()

    def restart(self) -> None:
        """Another one takes over."""
        self.stop()
        self._start()


@pytest.mark.parametrize(("delivery", "seed"), [("exactly-once", 1), ("at-least-once", 2)])
def test_whatever_senders_do(pipeline: Pipeline, delivery: str, seed: int) -> None:
    """What is committed may be deleted at any moment, and workers come and go.

    Every event that a reader could see is enriched exactly once, and in the end nothing is left.
    """
    dice = random.Random(f"{seed}")  # noqa: S311  no secret
    servers, raw = pipeline.servers, pipeline.names.raw
    senders, workers = _Senders(pipeline, dice), _Workers(pipeline, delivery)
    try:
        for _ in range(60):
            senders.write()
            if dice.random() < 0.3:
                number = dice.randrange(PARTITIONS)
                committed = pipeline.admin.committed(raw, raw).get(number, 0)
                begin, _ = pipeline.admin.extents(raw)[number]
                if committed > begin:
                    delete_records(servers, raw, partition=number, before=committed)
            if dice.random() < 0.1:
                workers.restart()
        senders.end()
        pipeline.wait_for(lambda: _is_done(pipeline), "the end of the raw topic")
        no_lag = Lag(PARTITIONS, 0)
        pipeline.wait_for(lambda: no_lag in workers.meter.lags[-1:], "the last figure")
    finally:
        workers.stop()
    assert workers.failures == []
    assert _users(pipeline) == sorted(senders.seen)
    assert set(pipeline.found()) == {Role.ENRICHED}


def _is_done(pipeline: Pipeline) -> bool:
    raw = pipeline.names.raw
    ends = {number: end for number, (_, end) in pipeline.admin.extents(raw).items()}
    return pipeline.admin.committed(raw, raw) == ends
