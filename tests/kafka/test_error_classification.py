"""Each error that Kafka can answer, at each request: what the worker does about it.

On librdkafka's mock cluster, which gives any answer that it is asked for. It stores no offsets of
transactions and removes nothing that is aborted, so "at least once" is what can be seen here.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pytest
from confluent_kafka import KafkaError as K

from pipeline.errors import FencedError, RefusedError, TransportError
from pipeline.kafka.errors import TRANSIENT, LastClientError
from pipeline.kafka.session import KafkaSession
from tests.kafka.error_codes import (
    ACKNOWLEDGED_HARD,
    ACKNOWLEDGED_RETRIED,
    AT_LEAST_ONCE,
    BACKGROUND,
    EXACTLY_ONCE,
    HARD,
    IN_QUESTIONS,
    NOT_FOR_US,
    OF_CONNECTIONS,
    OF_THE_GROUP,
    OF_THE_RECORD,
    RETRIED,
    SOFT,
    STOPS,
    Codes,
    Row,
    Stops,
)
from tests.kafka.mock_cluster import Api, MockCluster
from tests.kafka.mock_harness import GROUP, NAMES, RECORDS, Interrupted, MockHarness

ALL: Final = list(range(RECORDS))

T = TypeVar("T")
_AT_ONCE: Final = 16


def _name(value: object) -> str:
    """A row's name."""
    if isinstance(value, Api):
        return value.name
    if isinstance(value, Row | Stops):
        return f"{value.api.name} {K(value.code).name()}"
    return K(value).name() if isinstance(value, int) else str(value)


def _each(test: Callable[[T], None], rows: Sequence[T]) -> None:
    """Test all rows at once, since they do little but wait; a failure names its row."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [(row, pool.submit(test, row)) for row in rows]
    for row, done in running:
        error = done.exception()
        if error is not None:
            error.add_note(f"row: {_name(row)}")
            raise error


def _rows(codes: Codes) -> list[Row]:
    return [Row(api, code) for api, each in codes.items() for code in each]


def test_every_code_is_sorted() -> None:
    """A code that the client learns later is missing here, until somebody has thought about it."""
    tables = (RETRIED, SOFT, HARD, BACKGROUND, ACKNOWLEDGED_RETRIED, ACKNOWLEDGED_HARD)
    sorted_ = {row.code for table in tables for row in _rows(table)}
    sorted_ |= {stops.code for stops in STOPS} | set(OF_THE_RECORD) | TRANSIENT
    sorted_ |= OF_THE_GROUP | OF_CONNECTIONS | IN_QUESTIONS | NOT_FOR_US
    brokers = {code for code in vars(K).values() if isinstance(code, int) and code >= K.UNKNOWN}
    assert {K(code).name() for code in brokers - sorted_} == set()


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A mock cluster of one broker."""
    with MockCluster() as made:
        yield made


def _contract(cluster: MockCluster, api: Api) -> Interrupted | None:
    """Heartbeats are sent in the background: wait until the answer to one was given."""
    return Interrupted(lambda: cluster.wait_until_given(api)) if api is Api.HEARTBEAT else None


@pytest.mark.parametrize(
    ("delivery", "codes"),
    [(EXACTLY_ONCE, RETRIED), (AT_LEAST_ONCE, ACKNOWLEDGED_RETRIED)],
    ids=[EXACTLY_ONCE, AT_LEAST_ONCE],
)
def test_retried_call_causes_no_reset(delivery: str, codes: Codes) -> None:
    """A failed call is made again: one session, one batch, no reset, each event once."""

    def check(row: Row) -> None:
        api, code = row
        with MockCluster() as cluster:
            harness = MockHarness(cluster, delivery=delivery)
            cluster.push(api, [code])
            meter = harness.work(_contract(cluster, api))
            assert cluster.left(api) == 0
            assert meter.recoveries == []
            assert harness.broker.diary.count("open") == 1
            assert "abort" not in harness.broker.diary
            assert harness.sources() == ALL

    _each(check, _rows(codes))


def test_soft_reset_keeps_the_session() -> None:
    """A soft reset aborts the transaction, and the same session reads the batch again."""

    def check(row: Row) -> None:
        api, code = row
        with MockCluster() as cluster:
            harness = MockHarness(cluster)
            cluster.push(api, [code])
            meter = harness.work()
            assert [how for how, _ in meter.recoveries] == ["soft reset"]
            assert K(code).name() in meter.recoveries[0][1]
            assert harness.broker.diary == ["open", "begin", "commit", "abort", "begin", "commit"]
            assert set(harness.sources()) == set(ALL)

    _each(check, _rows(SOFT))


@pytest.mark.parametrize(
    ("delivery", "codes"),
    [(EXACTLY_ONCE, HARD), (AT_LEAST_ONCE, ACKNOWLEDGED_HARD)],
    ids=[EXACTLY_ONCE, AT_LEAST_ONCE],
)
def test_hard_reset_opens_a_new_session(delivery: str, codes: Codes) -> None:
    """A hard reset drops the session, without abort; a new one goes on from committed offsets."""

    def check(row: Row) -> None:
        api, code = row
        with MockCluster() as cluster:
            harness = MockHarness(cluster, delivery=delivery)
            cluster.push(api, [code])
            meter = harness.work()
            assert [how for how, _ in meter.recoveries] == ["hard reset"]
            assert K(code).name() in meter.recoveries[0][1]
            assert harness.broker.diary.count("open") == 2
            assert "abort" not in harness.broker.diary
            assert set(harness.sources()) == set(ALL)

    _each(check, _rows(codes))


def test_a_session_that_a_fatal_error_has_ended_is_let_go() -> None:
    """Clients of an ended session are freed: they have threads, and a worker runs for months."""
    with MockCluster() as cluster:
        harness = MockHarness(cluster)
        sessions: list[weakref.ref[KafkaSession]] = []
        opened = harness.broker.open

        def noted() -> KafkaSession:
            session = opened()
            sessions.append(weakref.ref(session))
            return session

        harness.broker.open = noted  # type: ignore[method-assign]
        cluster.push(Api.END_TXN, [K.INVALID_TXN_STATE])
        harness.work()
        gc.collect()
        assert [each() for each in sessions] == [None, None]


def test_failed_in_the_background() -> None:
    """Aborted only when the commit was not yet asked for; the batch is written again."""

    def check(row: Row) -> None:
        with MockCluster() as cluster:
            harness = MockHarness(cluster)
            cluster.push(row.api, [row.code])
            meter = harness.work()
            (how, _), *_ = meter.recoveries
            assert (how == "soft reset") == ("abort" in harness.broker.diary)
            assert set(harness.sources()) == set(ALL)

    _each(check, _rows(BACKGROUND))


def test_error_that_no_retry_resolves_stops_the_worker() -> None:
    """One sentence says what to do, nothing is tried again; in the end nothing is missing."""

    def check(stops: Stops) -> None:
        with MockCluster() as cluster:
            # No broker says so to a member without one, and librdkafka would never close.
            static: dict[str, Any] = {}
            if stops.code == K.FENCED_INSTANCE_ID:
                static["instance_id"] = "w1"
            harness = MockHarness(cluster, delivery=stops.delivery, **static)
            if stops.api is Api.FIND_COORDINATOR:
                # The client may lose one answer with its first connection.
                cluster.refuse(stops.api, stops.code)
            else:
                cluster.push(stops.api, [stops.code])
            with pytest.raises(stops.error, match=stops.says):
                harness.work()
            cluster.allow(stops.api)
            assert harness.broker.diary.count("open") == 1
            assert harness.broker.diary.count("begin") <= 1
            harness.work()
            assert set(harness.sources()) == set(ALL)

    _each(check, STOPS)


def test_instance_fenced_by_the_group_alone_goes_on() -> None:
    """Fenced by the group alone, the worker asks who has its transactional id; it is still ours."""

    def check(api: Api) -> None:
        with MockCluster() as cluster:
            harness = MockHarness(cluster, instance_id="w1")
            cluster.push(api, [K.FENCED_INSTANCE_ID])
            meter = harness.work()
            assert meter.recoveries[0][0] == "hard reset"
            assert "lost track of this member" in meter.recoveries[0][1]
            assert set(harness.sources()) == set(ALL)

    _each(check, [Api.JOIN_GROUP, Api.SYNC_GROUP, Api.HEARTBEAT, Api.TXN_OFFSET_COMMIT])


def test_fenced_instance_without_transactions(cluster: MockCluster) -> None:
    """At least once there is nobody to ask: the worker stops, though it has nothing to commit."""
    harness = MockHarness(cluster, instance_id="w1", delivery=AT_LEAST_ONCE)
    cluster.push(Api.JOIN_GROUP, [K.FENCED_INSTANCE_ID])
    with pytest.raises(FencedError, match=r"same group\.instance\.id"):
        harness.work()


def test_offset_out_of_range_that_is_there(cluster: MockCluster) -> None:
    """A replica that is behind denies an offset that exists: nothing is lost, it is read again."""
    harness = MockHarness(cluster, batch__linger_ms="500")
    cluster.push(Api.FETCH, [K.OFFSET_OUT_OF_RANGE])
    meter = harness.work()
    assert [how for how, _ in meter.recoveries] in ([], ["hard reset"])
    assert set(harness.sources()) == set(ALL)


@pytest.mark.parametrize("delivery", [EXACTLY_ONCE, AT_LEAST_ONCE])
def test_missing_idempotent_write_permission_is_named(cluster: MockCluster, delivery: str) -> None:
    """Older brokers want a permission of their own for idempotent producers; it is named."""
    harness = MockHarness(cluster, delivery=delivery)
    cluster.push(Api.INIT_PRODUCER_ID, [K.CLUSTER_AUTHORIZATION_FAILED])
    with pytest.raises(RefusedError, match="IDEMPOTENT_WRITE on the cluster"):
        harness.work()


def test_transaction_not_allowed_a_topic(cluster: MockCluster) -> None:
    """A topic that may not be written is named, also when the cluster does not tell which."""
    harness = MockHarness(cluster)
    cluster.push(Api.ADD_PARTITIONS_TO_TXN, [K.TOPIC_AUTHORIZATION_FAILED])
    with pytest.raises(RefusedError, match=f"{NAMES.enriched}.*WRITE"):
        harness.work()


@pytest.mark.parametrize("topic", [NAMES.raw, NAMES.enriched])
def test_topic_missing_or_hidden(topic: str) -> None:
    """A topic that can't be had when a session begins is named, with what to do."""
    remedies = {
        K.UNKNOWN_TOPIC_OR_PART: "topics create",
        K.TOPIC_AUTHORIZATION_FAILED: "grant this user",
    }

    def check(code: int) -> None:
        with MockCluster() as cluster:
            harness = MockHarness(cluster)
            cluster.fail_topic(topic, code)
            with pytest.raises(RefusedError, match=f"topic {topic}: .*{remedies[code]}"):
                harness.work()

    _each(check, list(remedies))


@pytest.mark.parametrize("delivery", [EXACTLY_ONCE, AT_LEAST_ONCE])
def test_rejected_record_is_dead_lettered_alone(delivery: str) -> None:
    """A rejected record is searched for by bisection; rejected alone, it is dead-lettered."""

    def check(code: int) -> None:
        with MockCluster() as cluster:
            harness = MockHarness(cluster, delivery=delivery)
            cluster.push(Api.PRODUCE, [code, code])
            meter = harness.work()
            assert meter.bisections[0] == RECORDS
            assert meter.recoveries == []
            assert set(meter.total.dead_letters) <= {OF_THE_RECORD[code]}
            assert set(harness.sources()) == set(ALL)

    _each(check, list(OF_THE_RECORD))


def test_search_ends_with_its_batch(cluster: MockCluster) -> None:
    """Behind a batch with a refused record the client sends many outputs at once again."""
    harness = MockHarness(cluster, batch=RECORDS // 2)
    cluster.push(Api.PRODUCE, [K.MSG_SIZE_TOO_LARGE])
    meter = harness.work()
    assert meter.bisections == [RECORDS // 2]
    # One producer for the start, one that searches, and one for all that comes behind.
    assert cluster.requests()[Api.INIT_PRODUCER_ID] == 3
    assert harness.sources() == ALL


def test_too_many_resets_end_the_worker(cluster: MockCluster) -> None:
    """A fault that stays ends the worker after so many resets, with the last cause."""
    harness = MockHarness(cluster)
    cluster.push(Api.END_TXN, [K.UNKNOWN] * 3)
    with pytest.raises(TransportError, match=r"gave up after 2 attempts.*UNKNOWN"):
        harness.work(max_resets=2)
    assert harness.broker.diary.count("open") == 3


def test_slow_commit_renews_the_producer(cluster: MockCluster) -> None:
    """After a commit that took over two seconds the next transaction has a new producer."""
    harness = MockHarness(cluster, batch=RECORDS // 2)
    cluster.push(Api.END_TXN, [K.NO_ERROR], delay_ms=2500)
    meter = harness.work()
    assert meter.recoveries == []
    assert harness.broker.diary == ["open", "begin", "commit", "begin", "commit"]
    assert cluster.requests()[Api.INIT_PRODUCER_ID] == 2
    assert harness.sources() == ALL


def test_quick_commits_keep_the_producer(cluster: MockCluster) -> None:
    """One producer is enough for commits that are quick."""
    harness = MockHarness(cluster, batch=RECORDS // 2)
    harness.work()
    assert harness.broker.diary == ["open", "begin", "commit", "begin", "commit"]
    assert cluster.requests()[Api.INIT_PRODUCER_ID] == 1


def test_commit_not_answered_in_time(cluster: MockCluster) -> None:
    """A commit without an answer by the deadline has an unknown outcome; it is never aborted.

    Its records are tried again in two halves.
    """
    harness = MockHarness(cluster, transaction_timeout_ms="1000")
    cluster.push(Api.END_TXN, [K.NO_ERROR], delay_ms=3000)
    meter = harness.work()
    assert [how for how, _ in meter.recoveries] == ["hard reset"]
    again = ["open", "begin", "commit", "begin", "commit"]
    assert harness.broker.diary == ["open", "begin", "commit", *again]
    assert set(harness.sources()) == set(ALL)


@pytest.mark.parametrize("delivery", [EXACTLY_ONCE, AT_LEAST_ONCE])
def test_broker_away_for_a_moment(delivery: str) -> None:
    """Whatever the worker is at, it goes on when the broker is back, and nothing is missing."""

    def check(step: str) -> None:
        with MockCluster() as cluster:
            harness = MockHarness(cluster, delivery=delivery)
            if step == "open":
                harness.outage()
            harness.broker.before[step] = harness.outage
            harness.work(Interrupted(harness.outage) if step == "process" else None)
            assert set(harness.sources()) == set(ALL)

    _each(check, ["open", "collect", "begin", "process", "commit"])


def test_moved_coordinators_cause_no_reset() -> None:
    """Group and transaction get another coordinator; the worker does not even notice."""

    def check(step: str) -> None:
        with MockCluster(brokers=2) as cluster:
            harness = MockHarness(cluster)

            def move(broker: int = 2) -> None:
                cluster.move_coordinator("group", GROUP, broker)
                cluster.move_coordinator("transaction", harness.settings.transactional_id, broker)

            move(1)
            harness.broker.before[step] = move
            meter = harness.work(Interrupted(move) if step == "process" else None)
            assert meter.recoveries == []
            assert set(harness.sources()) == set(ALL)

    _each(check, ["collect", "begin", "process", "commit"])


def test_a_call_that_takes_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call waits for is said while it lasts, though not at once; a retry says more."""
    now = 0.0
    monkeypatch.setattr("pipeline.kafka.errors.time.monotonic", lambda: now)
    last_error = LastClientError()
    with last_error.calling("asking for offsets"):
        assert last_error.waits_for() == ""
        now = 3.0
        assert last_error.waits_for() == "asking for offsets takes long"
        last_error.retrying_because = "retrying it"
        assert last_error.waits_for() == "retrying it"
        last_error.retrying_because = ""
    assert last_error.waits_for() == ""
