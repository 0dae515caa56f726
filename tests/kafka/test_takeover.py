"""A worker that was replaced does not take its name back, whatever it wakes up to."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final, Protocol
from unittest.mock import patch

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import TrackHeader
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output, Role
from pipeline.errors import FencedError, InstanceFencedError, OutcomeUnknownError
from pipeline.kafka import exactly_once, producer
from pipeline.kafka.call_timeout import TimedCalls
from pipeline.kafka.membership import Membership
from pipeline.kafka.session import KafkaBroker, KafkaSession
from pipeline.ports import Batch
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import RECENT, Sent, produce
from tests.hostile import EVENT
from tests.kafka.mock_cluster import MockCluster
from tests.kafka.mock_harness import NAMES, MockHarness
from tests.kafka.worker_process import Pipeline

NOTE: Final = OffsetMetadata("1;0123456789ab", 0.0, 0, 0, 1, origin=False)
OUTPUT: Final = Output(Role.ENRICHED, b"{}", None, [(TrackHeader.SOURCE, b"t/0/0")], RECENT, 0)
TRANSACTION_MS: Final = 3000
"""Time after which the broker ends the transaction of a process that a test replaces."""


class Process:
    """What one process has of a worker: its sessions, one after the other."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self.session: KafkaSession
        self._is_open = False

    def open(self) -> None:
        """Open the next session."""
        self.session = self._broker.open()
        self._is_open = True

    def close(self) -> None:
        """Close the session, if one is open."""
        if self._is_open:
            self.session.close()
        self._is_open = False

    def joins_again(self) -> KafkaSession:
        """Its client becomes a member anew, as after the end of its session; the producer stays."""
        config = replace(self._broker._config, exactly_once=False)  # noqa: SLF001
        other = KafkaBroker(config).open()
        while not other.collect().records:
            pass
        self.session._membership.note(other._consumer)  # noqa: SLF001
        return other

    def read_on(self) -> None:
        """Collect until that fails."""
        while True:
            self.session.collect()

    def batch(self) -> Batch:
        """Records, when there are some."""
        while not (batch := self.session.collect()).records:
            pass
        return batch

    def work(self) -> None:
        """One whole transaction."""
        batch = self.batch()
        self.session.begin()
        self.session.send(OUTPUT)
        self.session.commit(batch.positions, NOTE, OutcomeCounts())


@pytest.fixture
def start(pipeline: Pipeline) -> Iterator[Start]:
    """Starts processes that all have the same instance id."""
    flags = {f"topics.{name}": topic for name, topic in pipeline.names._asdict().items()}
    flags |= {
        "kafka.bootstrap.servers": pipeline.servers,
        "group": pipeline.names.raw,
        "instance_id": "w1",
        "consumer.session.timeout.ms": "6000",
        "consumer.heartbeat.interval.ms": "300",
        "batch.max_records": "1",
    }
    produce(pipeline.servers, pipeline.names.raw, [Sent(EVENT, None, (), RECENT, 0)] * 5)
    started: list[Process] = []

    def start_one(transaction_ms: int = 60_000) -> Process:
        own = {**flags, "transaction_timeout_ms": str(transaction_ms)}
        settings = load_settings(None, own, {})
        started.append(Process(make_broker(settings, checked_topics(settings, print), None)))
        started[-1].open()
        return started[-1]

    yield start_one
    for process in started:
        process.close()


class Start(Protocol):
    """Starts a process, whose transactions end by themselves after so long."""

    def __call__(self, transaction_ms: int = 60_000) -> Process:
        """Return the process, whose session is open."""


class Replace(Protocol):
    """Starts a process that works, and a newer one that replaces it and works, too."""

    def __call__(self, *, slow_commit: bool = False) -> tuple[Process, Process]:
        """Return the older and the newer process; the older one's commit may count as slow."""


@pytest.fixture
def replaced(start: Start, monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Make an older process and a newer one that has its name."""

    def make(*, slow_commit: bool = False) -> tuple[Process, Process]:
        with monkeypatch.context() as patched:
            if slow_commit:
                patched.setattr(exactly_once, "_SLOW_S", 0.0)
            older = start()
            older.work()
        newer = start()
        newer.work()
        return older, newer

    return make


@pytest.mark.kafka
def test_a_new_session_of_an_older_process_is_fenced(replaced: Replace) -> None:
    """An older process asks the group before it takes the transactional id; the newer goes on."""
    older, newer = replaced()
    older.close()
    with pytest.raises(FencedError, match=r"same group\.instance\.id w1, so this older one stops"):
        older.open()
    newer.work()


@pytest.mark.kafka
def test_a_new_session_of_a_process_that_was_not_replaced(start: Start) -> None:
    """The member that the group still knows is its own."""
    alone = start()
    alone.work()
    alone.close()
    alone.open()
    alone.work()


@pytest.mark.kafka
def test_a_new_producer_of_an_older_process(replaced: Replace) -> None:
    """A commit that was slow, since the process was stopped meanwhile, is no reason to take it."""
    older, newer = replaced(slow_commit=True)
    with pytest.raises(FencedError, match=r"same group\.instance\.id"):
        older.session.begin()
    newer.work()


@pytest.mark.kafka
def test_an_older_process_whose_client_has_joined_again(replaced: Replace) -> None:
    """Then the group takes the older one for the owner of the name; the transactional id does not.

    A client whose session is over joins without its member id, as a new process does.
    """
    older, newer = replaced(slow_commit=True)
    other = older.joins_again()
    with pytest.raises(OutcomeUnknownError, match="lost track of this member"):
        newer.read_on()
    newer.close()
    with pytest.raises(FencedError, match="same transactional id"):
        older.session.begin()
    newer.open()
    newer.work()
    other.close()


@pytest.mark.kafka
def test_a_fenced_member_does_not_renew_its_producer(replaced: Replace) -> None:
    """A fenced member asks with its old producer; a new one would take the transactional id."""
    older, newer = replaced(slow_commit=True)
    with pytest.raises(FencedError):
        older.read_on()
    newer.work()


@pytest.mark.kafka
def test_a_transaction_that_ended_before_the_process_went_on(
    pipeline: Pipeline, start: Start
) -> None:
    """Open too long, it may have been ended by the broker as well: the group tells which it was."""
    older = start(TRANSACTION_MS)
    batch = older.batch()
    older.session.begin()
    older.session.send(OUTPUT)
    begun = time.monotonic()
    newer = start()
    newer.work()
    pipeline.wait_for(
        lambda: time.monotonic() > begun + TRANSACTION_MS / 1000, "the broker's time-out"
    )
    with pytest.raises(OutcomeUnknownError, match="longer than transaction_timeout_ms"):
        older.session.commit(batch.positions, NOTE, OutcomeCounts())
    older.close()
    with pytest.raises(FencedError, match=r"same group\.instance\.id"):
        older.open()
    newer.work()


@pytest.mark.kafka
def test_a_fenced_abort_reports_the_newer_process(start: Start) -> None:
    """A fenced abort reports the newer process, as a commit does; no session is opened anew."""
    older = start()
    older.batch()
    older.session.begin()
    older.session.send(OUTPUT)
    newer = start()
    with pytest.raises(FencedError, match="another live process"):
        older.session.abort()
    newer.work()


@pytest.mark.parametrize("regained", [False, True])
def test_a_fatal_error_beside_lost_partitions(regained: bool) -> None:  # noqa: FBT001  a parameter
    """A member that is fenced while it loses partition 0 notices, and does not wait forever."""
    text = "Broker: Static consumer fenced by other consumer with same group.instance.id"
    fatal = KafkaError(KafkaError._FATAL, text, fatal=True)  # noqa: SLF001  the client's own name
    told = SimpleNamespace(error=lambda: fatal, topic=lambda: None, partition=lambda: 0)
    with MockCluster() as cluster:
        session = MockHarness(cluster, instance_id="w1").broker.open()
        half: Any = session._group_consumer  # noqa: SLF001
        place = TopicPartition(NAMES.raw, 0, 0)

        def consume(_most: int, _timeout_s: float) -> list[Any]:
            half._on_revoke(None, [place])  # noqa: SLF001
            if regained:
                half.next[0] = 0
            return [told]

        consumer = patch.object(half, "_consumer", SimpleNamespace(consume=consume))
        with consumer, pytest.raises(InstanceFencedError):
            half.collect()
        session.close()


def test_a_pause_does_not_count_towards_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause of the process, the same call again says that it was fenced."""
    busy = KafkaError(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)
    fenced = KafkaError(KafkaError.PRODUCER_FENCED)
    answers, clock = iter([(600.0, busy), (0.0, fenced)]), [0.0]

    def call(_step: float) -> None:
        stopped_s, error = next(answers)
        clock[0] += stopped_s
        raise KafkaException(error)

    with MockCluster() as cluster:
        session = MockHarness(cluster).broker.open()
        half = session._producer  # noqa: SLF001
        monkeypatch.setattr(producer, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        with pytest.raises(FencedError):
            half.retrying(call, 8.0, "committing")
        monkeypatch.undo()
        session.close()


def test_a_stopped_process_that_waits_for_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that end by the clock while nothing could run do not give the call up."""
    calls = TimedCalls()
    answers = calls._answers  # noqa: SLF001
    waits = iter([0.0, 0.0, 0.0])
    monkeypatch.setattr(
        calls,
        "_answers",
        SimpleNamespace(
            put=answers.put, get=lambda timeout: answers.get(timeout=next(waits, timeout))
        ),
    )
    done: list[bool] = []
    calls.call(lambda: done.append(True), 60.0, "committing")
    calls.end()
    assert done


def _membership() -> Membership:
    """A process whose member id is `ours`, and whose instance id is w1."""
    config: Any = SimpleNamespace(
        shared={}, group="g", consumer={"group.instance.id": "w1"}, startup_timeout_s=1.0
    )
    made = Membership(config)
    made.note(SimpleNamespace(memberid=lambda: "ours"))  # type: ignore[arg-type]
    return made


def test_a_confirmation_is_valid_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process may join at any time after it, also before the next attempt."""
    found = _membership()
    other = SimpleNamespace(group_instance_id="w1", member_id="theirs")
    monkeypatch.setattr(found, "_members", lambda: [other])
    now = time.time()
    monkeypatch.setattr("pipeline.kafka.membership.time.time", lambda: now)
    found.confirm()
    found.check()
    found.confirm()
    now += 30
    with pytest.raises(FencedError, match=r"has joined with the same group\.instance\.id w1"):
        found.check()


def test_an_unanswered_client_is_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer to a client that timed out may still arrive."""

    class Silent:
        def list_topics(self, **_: Any) -> None:
            """There is a broker."""

        def describe_consumer_groups(self, *_: Any, **__: Any) -> Any:
            def no_answer(_timeout_s: float) -> Any:
                raise TimeoutError

            return {"g": SimpleNamespace(result=no_answer)}

    made: list[weakref.ref[Silent]] = []

    def make(*_: Any) -> Silent:
        client = Silent()
        made.append(weakref.ref(client))
        return client

    monkeypatch.setattr("pipeline.kafka.membership.make_admin", make)
    found = _membership()
    for _ in range(5):
        with pytest.raises(OutcomeUnknownError, match="its coordinator does not answer"):
            found.check()
    gc.collect()
    assert [each() is not None for each in made] == [False, False, True, True, True]


def test_asking_for_the_transactional_id_commits_nothing_new() -> None:
    """The end of the last transaction may still be on its way, and would commit it."""
    with MockCluster() as cluster:
        session = MockHarness(cluster).broker.open()
        try:
            while not (batch := session.collect()).records:
                pass
            session.begin()
            session.commit(batch.positions, NOTE, OutcomeCounts())
            asked: list[list[TopicPartition]] = []
            producing: Any = session._producer  # noqa: SLF001
            with patch.object(producing, "_refused", lambda offsets, _: asked.append(offsets)):
                producing.fenced(InstanceFencedError(), None)
        finally:
            session.close()
    assert [(each.partition, each.offset) for each in asked[0]] == [(0, len(batch.records))]
