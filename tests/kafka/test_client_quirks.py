"""What librdkafka does that one would not expect, each with a test that holds our way around it."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from logging import Logger
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import KafkaError as K
from confluent_kafka.admin import AdminClient

from pipeline.core.record import Role
from pipeline.errors import OutcomeUnknownError, RecordRefusedError, RefusedError
from pipeline.kafka import exactly_once as transactions
from pipeline.kafka import producer as writer
from pipeline.kafka import session as session_module
from pipeline.kafka.clients import CLIENT_LOG
from pipeline.kafka.delivery_errors import DeliveryErrors
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.start_offsets import StartOffsetPolicy
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import RECENT, Sent, produce
from tests.hostile import EVENT
from tests.kafka.mock_cluster import Api, MockCluster
from tests.kafka.mock_harness import NAMES, RECORDS, Interrupted, MockHarness
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.cli.program import environment
from tests.unit.worker.harness import work

ALL: Final = list(range(RECORDS))


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A mock cluster of one broker."""
    with MockCluster() as made:
        yield made


class _Timed(Producer):
    """Remembers the time-outs, in seconds, that its calls were given."""

    given: list[tuple[str, float]]

    def init_transactions(self, timeout: float = -1) -> None:
        self.given.append(("init", timeout))
        super().init_transactions(timeout)

    def send_offsets_to_transaction(self, offsets: Any, group: Any, timeout: float = -1) -> None:
        self.given.append(("offsets", timeout))
        super().send_offsets_to_transaction(offsets, group, timeout)

    def commit_transaction(self, timeout: float = -1) -> None:
        self.given.append(("commit", timeout))
        super().commit_transaction(timeout)

    def abort_transaction(self, timeout: float = -1) -> None:
        self.given.append(("abort", timeout))
        super().abort_transaction(timeout)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The calls of all producers from now on, with their time-outs."""
    given: list[tuple[str, float]] = []

    def make(config: dict[str, Any], on_error: Any, on_delivery: Any, log: Logger) -> Producer:
        producer = _Timed({**config, "error_cb": on_error, "on_delivery": on_delivery}, logger=log)
        producer.given = given
        return producer

    monkeypatch.setattr(writer, "make_producer", make)
    return given


def _consumers(monkeypatch: pytest.MonkeyPatch, kind: type[Consumer]) -> None:
    """From now on sessions use such consumers."""

    def make(config: dict[str, Any], on_error: Any) -> Consumer:
        return kind({**config, "error_cb": on_error}, logger=CLIENT_LOG)

    monkeypatch.setattr(session_module, "make_consumer", make)


def test_exception_in_a_rebalance(cluster: MockCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 1: a bug of ours in a callback shows after the call, as a reset; nothing is missing."""
    harness = MockHarness(cluster, batch__linger_ms="500")
    good = StartOffsetPolicy.resolve

    def bad_once(*arguments: Any) -> Any:
        monkeypatch.setattr(StartOffsetPolicy, "resolve", good)
        raise ZeroDivisionError(arguments)

    monkeypatch.setattr(StartOffsetPolicy, "resolve", bad_once)
    meter = harness.work()
    ((how, text),) = meter.recoveries
    assert (how, text[:37]) == ("hard reset", "a rebalance failed: ZeroDivisionError")
    assert harness.sources() == ALL


def test_callbacks_take_anything() -> None:
    """Trap 1: delivery reports and error callbacks keep what they are given, and raise nothing."""
    delivery_errors, last_error = DeliveryErrors(), LastClientError()
    for code in [*range(-200, 130)]:
        last_error(K(code))
        delivery_errors(K(code), _Nowhere())
        delivery_errors(None, _Nowhere())
    assert delivery_errors.error is not None
    assert last_error.error is not None


class _Nowhere:
    """A message that never got a topic."""

    def topic(self) -> None:
        """None, as the client says it."""


def test_time_outs_are_finite(cluster: MockCluster, timed: list[tuple[str, float]]) -> None:
    """Trap 2: no call of a transaction is told to wait for ever."""
    cluster.push(Api.ADD_OFFSETS_TO_TXN, [K.UNKNOWN])
    MockHarness(cluster).work()
    assert [call for call, _ in timed] == ["init", "offsets", "abort", "offsets", "commit"]
    assert all(0 < limit <= writer.STEP_S and math.isfinite(limit) for _, limit in timed)


def test_commit_is_resumed(
    cluster: MockCluster, timed: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 3: a commit that timed out is called again until it is answered; never aborted."""
    monkeypatch.setattr(writer, "STEP_S", 0.1)
    cluster.push(Api.END_TXN, [K.NO_ERROR], delay_ms=1000)
    harness = MockHarness(cluster)
    meter = harness.work()
    calls = [call for call, _ in timed]
    assert calls.count("commit") > 1
    assert "abort" not in calls
    assert meter.recoveries == []
    assert harness.sources() == ALL


def test_first_report_is_the_cause(cluster: MockCluster) -> None:
    """Trap 5: the sentence has the code of the first failed output, not of later ones."""
    harness = MockHarness(cluster, batch=RECORDS)
    cluster.push(Api.PRODUCE, [K.TOPIC_AUTHORIZATION_FAILED, K.INVALID_TXN_STATE, K.UNKNOWN])
    with pytest.raises(RefusedError, match=f"topic {NAMES.enriched}: .*TOPIC_AUTHORIZATION"):
        harness.work()


def test_later_reports_do_not_hide_the_cause() -> None:
    """Trap 5: what was purged after the first failure is no cause."""
    delivery_errors = DeliveryErrors()
    purged = K(K._PURGE_QUEUE)  # noqa: SLF001  the client's own name
    for error in (purged, K(K.TOPIC_AUTHORIZATION_FAILED), K(K.INVALID_TXN_STATE)):
        delivery_errors(error, _Nowhere())
    assert delivery_errors.error is not None
    assert delivery_errors.error.code() == K.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_only_failures_are_reported(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    """Trap 6: when all goes well, no callback costs time for any output."""
    reports: list[object] = []
    monkeypatch.setattr(DeliveryErrors, "__call__", lambda _, *report: reports.append(report))
    harness = MockHarness(cluster, delivery=delivery)
    harness.work()
    assert harness.sources() == ALL
    assert reports == []


def test_refused_record_and_broken_client(cluster: MockCluster) -> None:
    """A refusal that breaks the client costs the session, not the worker: it is told by no exit."""
    session = MockHarness(cluster).broker.open()
    try:
        report = SimpleNamespace(topic=lambda: NAMES.enriched)
        session._producer.delivery_errors(K(K.INVALID_TIMESTAMP), report)  # noqa: SLF001
        fatal = KafkaException(K(K._FATAL, "broken", fatal=True))  # noqa: SLF001  the client's
        failed = session._producer.failed(fatal, "committing")  # noqa: SLF001
        assert type(failed) is OutcomeUnknownError
        assert "INVALID_TIMESTAMP" in str(failed)
    finally:
        session.close()


def test_refusal_that_is_reported_late(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction fails before the client reports the output that it failed for."""
    session = MockHarness(cluster).broker.open()
    try:
        half = session._producer  # noqa: SLF001
        report = SimpleNamespace(topic=lambda: NAMES.enriched)
        answers = iter([None, None, K(K.INVALID_TIMESTAMP)])
        late = SimpleNamespace(poll=lambda _: half.delivery_errors(next(answers), report))
        monkeypatch.setattr(half, "producer", late)
        failed = half.failed(KafkaException(K(K.INVALID_TIMESTAMP)), "committing")
        assert isinstance(failed, RecordRefusedError)
        assert failed.role is Role.ENRICHED
        monkeypatch.undo()
    finally:
        session.close()


def test_late_answer_costs_the_producer(
    cluster: MockCluster, timed: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 9: after an abort that was slow, too, the next transaction has a new producer."""
    monkeypatch.setattr(transactions, "_SLOW_S", 0.3)
    cluster.push(Api.ADD_OFFSETS_TO_TXN, [K.UNKNOWN])
    cluster.push(Api.END_TXN, [K.NO_ERROR], delay_ms=600)
    harness = MockHarness(cluster)
    # An abort of nothing asks nobody.
    harness.broker.before["commit"] = lambda: cluster.wait_until_asked(Api.ADD_PARTITIONS_TO_TXN)
    meter = harness.work()
    assert [how for how, _ in meter.recoveries] == ["soft reset"]
    calls = [call for call, _ in timed]
    assert calls == ["init", "offsets", "abort", "init", "offsets", "commit"]


def test_lost_connection_costs_the_producer(
    cluster: MockCluster, timed: list[tuple[str, float]]
) -> None:
    """Trap 9: a commit whose connection broke goes through; the next one has a new producer."""
    cluster.push(Api.END_TXN, [K._TRANSPORT])  # noqa: SLF001  the client's name
    harness = MockHarness(cluster, batch=RECORDS // 2)
    meter = harness.work()
    assert meter.recoveries == []
    assert harness.sources() == ALL
    calls = [call for call, _ in timed]
    assert calls == ["init", "offsets", "commit", "init", "offsets", "commit"]


class _Outsider(Consumer):
    """Says once that it is no member of its group."""

    asked = 0

    def memberid(self) -> str:
        """As the client, but for the first time."""
        type(self).asked += 1
        return "" if self.asked == 1 else str(super().memberid())


def test_no_commit_without_membership(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 12: without a member id, which fences nobody, nothing is written or committed."""
    _consumers(monkeypatch, _Outsider)
    harness = MockHarness(cluster)
    meter = harness.work()
    assert meter.recoveries == [("hard reset", "the consumer is not a member of its group")]
    assert harness.broker.diary == ["open", "open", "begin", "commit"]
    assert cluster.requests()[Api.TXN_OFFSET_COMMIT] == 1
    assert harness.sources() == ALL


class _Forgetful(Consumer):
    """Loses its first seek."""

    sought = 0

    def seek(self, partition: Any) -> None:
        """As the client, but for the first time."""
        type(self).sought += 1
        if self.sought > 1:
            super().seek(partition)


def test_lost_seek_opens_a_new_session(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seek that had no effect is seen at the next record: a new session, nothing is skipped."""
    _consumers(monkeypatch, _Forgetful)
    cluster.push(Api.ADD_OFFSETS_TO_TXN, [K.UNKNOWN])
    harness = MockHarness(cluster, batch=RECORDS // 2)
    meter = harness.work()
    assert [how for how, _ in meter.recoveries] == ["soft reset", "hard reset"]
    assert meter.recoveries[1][1] == f"{NAMES.raw}/0: a seek was lost"
    assert harness.broker.diary[-4:] == ["begin", "commit"] * 2
    assert set(harness.sources()) == set(ALL)


@pytest.mark.kafka
@pytest.mark.slow
def test_processing_longer_than_the_group_waits(pipeline: Pipeline) -> None:
    """Trap 7: a worker that left its group for being slow goes on by itself, nothing doubled."""
    servers, names = pipeline.servers, pipeline.names
    produce(servers, names.raw, [Sent(EVENT, b"u1", (), RECENT + n, n % 3) for n in range(30)])
    flags = {f"topics.{name}": topic for name, topic in names._asdict().items()}
    flags |= {
        "kafka.bootstrap.servers": servers,
        "group": names.raw,
        "consumer.session.timeout.ms": "6000",
        "consumer.max.poll.interval.ms": "6000",
        "batch.max_records": "10",
    }
    settings = load_settings(None, flags, {})
    broker = make_broker(settings, checked_topics(settings, print), None)
    meter = work(
        broker, 30, contract=Interrupted(_until_left(servers, names.raw)), give_up_s=PATIENCE_S
    )
    assert meter.total.records == 30
    assert meter.recoveries
    assert pipeline.found() == pipeline.expected()


def _until_left(servers: str, group: str) -> Callable[[], None]:
    """Waits until a group has no members."""
    admin = AdminClient({"bootstrap.servers": servers})

    def members() -> int:
        described = admin.describe_consumer_groups([group], request_timeout=PATIENCE_S)
        return len(described[group].result().members)

    def wait() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while members():
            assert time.monotonic() < deadline, "it never left"
            time.sleep(0.1)

    return wait


def test_dropped_producer_leaves_the_memory_alone() -> None:
    """Trap 15: an answer to a failed producer that is being destroyed corrupts the memory.

    The C library notices most of that, and aborts the process.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "tests.kafka.failed_producers"],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 0, ran.stderr.decode()
