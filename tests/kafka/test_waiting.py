"""A worker that can't work says why: it ends with a sentence, or it waits and says for what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as K

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode, RefusedError
from pipeline.kafka import KafkaBroker
from pipeline.kafka.dependency_monitor import DependencyMonitor
from pipeline.ports import Session, Stall
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker
from tests.brokers import Sent, produce, transactional_sender
from tests.hostile import EVENT
from tests.kafka.mock_cluster import Api, MockCluster
from tests.kafka.mock_harness import GROUP, NAMES, MockHarness
from tests.kafka.worker_process import PATIENCE_S, QUICK_COMMITS, Pipeline, terminate

pytestmark = pytest.mark.kafka

PATIENT: Final[dict[str, Any]] = {
    "kafka__retry__backoff__ms": "500",
    "kafka__retry__backoff__max__ms": "500",
}
"""Clients that do not use up the mock cluster's refusals within a moment."""
SOON: Final = {"stats_interval_s": "1"}


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A mock cluster of one broker."""
    with MockCluster() as made:
        yield made


def _events(count: int) -> list[Sent]:
    return [Sent(EVENT, b"u1", (), 0, n % 3) for n in range(count)]


def _without_id(pipeline: Pipeline, name: str, **settings: str) -> Any:
    """Start a worker without an instance id; on this host its other names must differ."""
    own = {"instance_id": "", "transactional_id_prefix": name, "kafka_client_id": name}
    return pipeline.start(name, **own, **SOON, **settings)


def _refused(pipeline: Pipeline, worker: Any, name: str) -> str:
    """How a worker ends that its group does not take: in the log, and as the last plain line."""
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA, pipeline.text(name)
    (end,) = pipeline.lines("ended", name)
    assert (end["level"], end["code"]) == ("error", ExitCode.KAFKA)
    assert pipeline.text(name).splitlines()[-1] == f"track-pipeline: {end['cause']}"
    return str(end["cause"])


def _wait_for_line(pipeline: Pipeline, event: str, name: str, count: int = 1) -> Any:
    """The last of so many lines."""
    pipeline.wait_for(lambda: len(pipeline.lines(event, name)) >= count, f"{name}: {event}")
    return pipeline.lines(event, name)[-1]


@contextmanager
def _foreign(pipeline: Pipeline, topic: str) -> Iterator[None]:
    """Another program's consumer in the workers' group."""
    consumer = Consumer(
        {
            "bootstrap.servers": pipeline.servers,
            "group.id": pipeline.names.raw,
            "partition.assignment.strategy": "roundrobin",
        }
    )
    assigned: list[int] = []
    consumer.subscribe([topic], on_assign=lambda _, places: assigned.append(len(places)))
    with closing(consumer):

        def joined() -> bool:
            consumer.poll(0.1)
            return bool(assigned)

        pipeline.wait_for(joined, "joining")
        yield


def test_session_time_out_that_the_broker_refuses(pipeline: Pipeline) -> None:
    """The setting is named, and the limits that it must keep."""
    worker = pipeline.start(consumer_session_timeout_ms="500")
    said = _refused(pipeline, worker, "w1")
    assert said.startswith("consumer.session.timeout.ms is 500, but the brokers accept 1000 to")


def test_instance_id_beside_none(pipeline: Pipeline) -> None:
    """The newcomer is told what does not mix; who was there works on."""
    older = _without_id(pipeline, "old")
    _wait_for_line(pipeline, "assigned", "old")
    said = _refused(pipeline, pipeline.start("w1"), "w1")
    assert "instance_id" in said
    assert "cooperative-sticky" in said
    produce(pipeline.servers, pipeline.names.raw, _events(9))
    pipeline.wait_until_done()
    assert terminate(older) == 0


@pytest.mark.parametrize("same_topic", [False, True])
def test_foreign_consumer_in_the_group(pipeline: Pipeline, same_topic: bool) -> None:  # noqa: FBT001  a parameter
    """Of another strategy, whatever it reads: the worker ends and says so."""
    topic = pipeline.names.raw if same_topic else pipeline.names.identify
    with _foreign(pipeline, topic):
        said = _refused(pipeline, _without_id(pipeline, "new"), "new")
    assert "let no other consumer use this group" in said


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (K.GROUP_MAX_SIZE_REACHED, f"joining group {GROUP}: the group is full"),
        (K.INVALID_GROUP_ID, "name of the group"),
        (K.INVALID_SESSION_TIMEOUT, "session timeout"),
        (K.INCONSISTENT_GROUP_PROTOCOL, "assignment strategy"),
        (K.UNSUPPORTED_ASSIGNOR, "assignor"),
    ],
)
def test_rejection_by_the_group_stops_the_worker(
    cluster: MockCluster, code: int, says: str
) -> None:
    """A group that rejects the worker is not asked again forever."""
    harness = MockHarness(cluster)
    cluster.refuse(Api.JOIN_GROUP, code)
    with pytest.raises(RefusedError, match=says):
        harness.work()


def test_group_of_the_new_protocol_refuses(pipeline: Pipeline) -> None:
    """There the client gives the cause in the text of a fatal error only."""
    settings = {
        "group_protocol": "consumer",
        "group_remote_assignor": "none",
        "session_timeout_ms": "",
    }
    own = {f"consumer_{name}": text for name, text in settings.items()}
    said = _refused(pipeline, _without_id(pipeline, "new", **own), "new")
    assert "the broker does not know this assignor" in said
    assert not pipeline.lines("recovering", "new")


class _Answers:
    """An admin client: the raw topic is there, and the question for its ends fails."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def list_topics(self, topic: str, timeout: float) -> Any:
        """The topic, with a leader."""
        del timeout
        partition = SimpleNamespace(leader=1)
        return SimpleNamespace(
            topics={topic: SimpleNamespace(error=None, partitions={0: partition})}
        )

    def list_offsets(self, *_places: Any, **_options: Any) -> Any:
        """No answer."""
        self._meanwhile()
        raise KafkaException(K(K.REQUEST_TIMED_OUT))


def test_a_client_that_does_not_join_is_replaced(cluster: MockCluster) -> None:
    """A client may never find the coordinator again, though brokers say the group is at rest."""
    harness = MockHarness(cluster)
    monitor, membership = harness.broker.monitor, harness.broker._membership  # noqa: SLF001  they see it
    left_out, noted, outside = iter([True]), membership.note, iter([True])
    monitor.is_left_out = lambda: next(left_out, False)  # type: ignore[method-assign]

    def note(consumer: Consumer) -> str:
        return "" if next(outside, False) else noted(consumer)

    membership.note = note  # type: ignore[method-assign]
    meter = harness.work()
    assert [how for how, _ in meter.recoveries] == ["hard reset"]
    assert "does not join group" in meter.recoveries[0][1]


@pytest.mark.parametrize(("state", "is_left_out"), [("STABLE", True), ("PREPARING", False)])
def test_left_out_by_a_group_at_rest(state: str, *, is_left_out: bool) -> None:
    """Only then is it certain that the group does not wait for this worker, or it for others."""
    clock = [0.0]
    config: Any = SimpleNamespace(raw_topic="raw", shared={}, group=GROUP)
    monitor = DependencyMonitor(config, lambda: clock[0])
    answers: Any = _Answers(lambda: None)
    described = SimpleNamespace(members=[], state=SimpleNamespace(name=state))
    answer = SimpleNamespace(result=lambda _timeout_s: described)
    answers.describe_consumer_groups = lambda *_, **__: {GROUP: answer}
    monitor._client = answers  # noqa: SLF001  instead of one of a broker
    monitor.turned({}, 0)
    for clock[0] in (10.0, 25.0, 39.0):
        assert not monitor.is_left_out()
        monitor.look()
    clock[0] = 40.0
    assert monitor.is_left_out() == is_left_out
    monitor.turned({0: 5}, 0)
    assert not monitor.is_left_out()


@pytest.mark.parametrize("records", [0, 100])
def test_a_question_that_fails_is_no_hindrance_while_records_come(records: int) -> None:
    """The monitor's own client has met a leader that moves at a bad moment."""
    now = 0.0
    config: Any = SimpleNamespace(raw_topic="raw", shared={}, group=GROUP)
    monitor = DependencyMonitor(config, lambda: now)
    monitor.turned({0: 5}, 100)
    answers: Any = _Answers(lambda: monitor.turned({0: 5}, records))
    monitor._client = answers  # noqa: SLF001  instead of one of a broker
    now = 60.0
    assert (monitor.look() is None) == bool(records)


def test_more_workers_than_partitions(pipeline: Pipeline) -> None:
    """The one that has nothing to do says so once; it is no warning."""
    workers = [_without_id(pipeline, f"w{number}") for number in range(4)]

    def idle(name: str) -> list[dict[str, Any]]:
        return [line for line in pipeline.lines("waiting", name) if line["level"] == "info"]

    names = [f"w{number}" for number in range(4)]
    # One that says so while all of them join may still get a partition.
    pipeline.wait_for(
        lambda: any(idle(name) and not pipeline.lines("assigned", name) for name in names),
        "saying that there is nothing to do",
    )
    assert [terminate(worker) for worker in workers] == [0] * 4
    assert max(len(idle(name)) for name in names) == 1
    assert all("more members (4) than topic" in line["cause"] for n in names for line in idle(n))


def test_member_that_is_gone_without_leaving(pipeline: Pipeline) -> None:
    """Who waits for its partitions names it and says until when; then work goes on."""
    # Its session outlives the start of the next one.
    gone = pipeline.start("w1", kafka_client_id="first", consumer_session_timeout_ms="30000")
    _wait_for_line(pipeline, "assigned", "w1")
    gone.kill()
    gone.wait()
    heir = pipeline.start("w2", **SOON)
    line = _wait_for_line(pipeline, "waiting", "w2", count=2)
    assert line["level"] == "warning"
    assert "member w1 (first at 127.0.0.1) holds partitions 0-2" in line["cause"]
    assert "session.timeout.ms" in line["cause"]
    assert _wait_for_line(pipeline, "recovered", "w2")["after_s"] > 0
    _wait_for_line(pipeline, "assigned", "w2")
    (assigned,) = pipeline.lines("assigned", "w2")
    assert (assigned["partitions"], assigned["held"]) == ("0-2", 3)
    assert terminate(heir) == 0


def test_partitions_that_change_hands(pipeline: Pipeline) -> None:
    """Both workers say what they have got, and what was taken from them."""
    first = _without_id(pipeline, "w1")
    assert _wait_for_line(pipeline, "assigned", "w1")["partitions"] == "0-2"
    second = _without_id(pipeline, "w2")
    got = _wait_for_line(pipeline, "assigned", "w2")
    lost = _wait_for_line(pipeline, "revoked", "w1")
    assert lost["held"] + got["held"] == 3
    assert lost["partitions"] == got["partitions"]
    assert [terminate(first), terminate(second)] == [0, 0]


def test_broker_away_while_idle(own_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """Address and cause, at once and in each interval, until it is back; figures come all along."""
    worker = own_pipeline.start(**SOON)
    _wait_for_line(own_pipeline, "assigned", "w1")
    own_kafka.kill()
    said = _wait_for_line(own_pipeline, "waiting", "w1", count=3)
    assert said["level"] == "warning"
    assert f"nothing listens at {own_kafka.bootstrap_servers} (connection refused)" in said["cause"]
    before = len(own_pipeline.lines("statistics"))
    _wait_for_line(own_pipeline, "statistics", "w1", before + 2)
    own_kafka.restart()
    _wait_for_line(own_pipeline, "recovered", "w1")
    assert terminate(worker) == 0


def test_broker_away_under_load_is_waited_for(
    own_pipeline: Pipeline, own_kafka: LocalKafka
) -> None:
    """A worker waits, says so and recovers, whichever of its calls meets the broker's absence."""
    produce(own_pipeline.servers, own_pipeline.names.raw, _events(15_000))
    worker = own_pipeline.start(
        batch__max_records="100", batch__linger_ms="20", **QUICK_COMMITS, **SOON
    )
    own_pipeline.wait_for(lambda: own_pipeline.committed() > 0, "the first commit")
    own_kafka.kill()
    said = _wait_for_line(own_pipeline, "waiting", "w1", count=3)
    assert own_kafka.bootstrap_servers in said["cause"]
    before = len(own_pipeline.lines("statistics"))
    _wait_for_line(own_pipeline, "statistics", "w1", before + 2)
    own_kafka.restart()
    _wait_for_line(own_pipeline, "recovered", "w1")
    own_pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert own_pipeline.found() == own_pipeline.expected(), own_pipeline.explained(own_kafka)


class _Looking:
    """A monitor, the session that it watches, and a clock for both of its limits."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.now = 1000.0
        config = broker._config  # noqa: SLF001  the same, at another clock
        self.monitor = broker.monitor = DependencyMonitor(config, lambda: self.now)
        self._broker = broker

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One that holds its partitions."""
        session = self._broker.open()
        try:
            while not session.assigned():
                session.collect()
            yield session
        finally:
            session.close()

    def finds(self, after_s: float = 60.0) -> Stall | None:
        """What there is to be seen so much later."""
        self.now += after_s
        return self.monitor.look()


def test_nothing_is_in_the_way(cluster: MockCluster) -> None:
    """Of a worker that works, or has read everything, nothing is said."""
    looking = _Looking(MockHarness(cluster).broker)
    with looking.session():
        assert looking.finds() is None
    assert looking.finds() is None


def test_partition_without_a_leader_is_named(cluster: MockCluster) -> None:
    """The cause names the partition and says that it has no leader."""
    looking = _Looking(MockHarness(cluster).broker)
    with looking.session():
        # The mock cluster crashes when it is asked for records of such a partition.
        cluster.push(Api.FETCH, [K.REQUEST_TIMED_OUT], delay_ms=60_000)
        cluster.wait_until_given(Api.FETCH)
        cluster.lead(NAMES.raw, 0, None)
        found = looking.finds()
    assert found is not None
    assert f"partitions 0 of topic {NAMES.raw} have no leader" in found.cause


def test_raw_topic_that_is_gone(cluster: MockCluster) -> None:
    """As it is at the start."""
    looking = _Looking(MockHarness(cluster).broker)
    with looking.session():
        cluster.fail_topic(NAMES.raw, K.UNKNOWN_TOPIC_OR_PART)
        found = looking.finds()
    assert found is not None
    assert "the topic does not exist" in found.cause


def _seen_while_working(harness: MockHarness, **options: Any) -> str:
    """What the worker waits for, as seen from another thread; then it goes on to its end."""
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(harness.work, **options)
        deadline = time.monotonic() + PATIENCE_S
        while (found := harness.broker.monitor.look()) is None:
            assert time.monotonic() < deadline, "nothing is said"
            time.sleep(0.05)
        for api in Api:
            harness.cluster.allow(api)
        working.result()
    return found.cause


@pytest.mark.parametrize(
    ("api", "says"),
    [
        (
            Api.INIT_PRODUCER_ID,
            "retrying starting transactions: COORDINATOR_LOAD_IN_PROGRESS",
        ),
        (Api.END_TXN, "retrying committing: _TIMED_OUT"),
        (Api.JOIN_GROUP, f"no partitions of group {GROUP}"),
    ],
)
def test_coordinator_that_does_not_come(cluster: MockCluster, api: Api, says: str) -> None:
    """What is tried again is told while the worker is inside that call."""
    harness = MockHarness(cluster, startup_timeout_s="60", **PATIENT)
    cluster.refuse(api, K.COORDINATOR_LOAD_IN_PROGRESS)
    assert says in _seen_while_working(harness, give_up_s=PATIENCE_S)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_brokers_that_can_not_write(cluster: MockCluster, delivery: str) -> None:
    """A full disk, or too few replicas: the commit is tried again, and that is told."""
    harness = MockHarness(cluster, delivery=delivery, **PATIENT)
    cluster.refuse(Api.PRODUCE, K.KAFKA_STORAGE_ERROR)
    said = _seen_while_working(harness, give_up_s=PATIENCE_S, max_resets=30)
    assert ": _TIMED_OUT" in said


def test_transaction_of_the_sender_that_stays_open(pipeline: Pipeline) -> None:
    """After a minute it is told from where on nothing can be read; when it ends, that is over."""
    names, servers = pipeline.names, pipeline.servers
    produce(servers, names.raw, [Sent(EVENT, None, (), 0, 1)] * 2)
    sender = Producer(transactional_sender(servers, f"{names.raw}.sender"))
    sender.init_transactions(PATIENCE_S)
    sender.begin_transaction()
    sender.produce(names.raw, EVENT, partition=1)
    sender.flush(PATIENCE_S)
    flags = {f"topics.{name}": topic for name, topic in names._asdict().items()}
    settings = load_settings(
        None, {**flags, "kafka.bootstrap.servers": servers, "group": names.raw}, {}
    )
    looking = _Looking(make_broker(settings, checked_topics(settings, print), None))
    with looking.session():
        assert looking.finds() is None  # it may be one of those that end
        found = looking.finds()
        assert found is not None
        assert f"{names.raw}/1 from offset 2 on" in found.cause
        assert "keeps a transaction open" in found.cause
        sender.abort_transaction(PATIENCE_S)
        pipeline.wait_for(lambda: looking.finds() is None, "the end of the transaction")


def test_leaving_for_good(pipeline: Pipeline) -> None:
    """A stopped worker's partitions go to the others at once, long before its session ends."""
    long_session = {"consumer_session_timeout_ms": "300000", **SOON}
    workers = [pipeline.start(name, **long_session) for name in ("w1", "w2")]
    for name in ("w1", "w2"):
        _wait_for_line(pipeline, "assigned", name)
    assert terminate(workers[0]) == 0
    left = pipeline.run("leave", "--instance-id", "w1")
    assert left.code == 0
    assert f"w1 has left group {pipeline.names.raw}: it held partition" in left.out.decode()
    produce(pipeline.servers, pipeline.names.raw, _events(30))
    pipeline.wait_until_done()
    assert pipeline.lines("assigned", "w2")[-1]["held"] == 3
    again = pipeline.run("leave", "--instance-id", "w1")
    assert (again.code, "is not a member of group" in again.out.decode()) == (0, True)
    assert terminate(workers[1]) == 0
    assert pipeline.found() == pipeline.expected()


def test_leaving_while_it_runs(pipeline: Pipeline) -> None:
    """A worker whose name is taken out by mistake joins again; nothing is lost or doubled."""
    worker = pipeline.start("w1", **SOON)
    _wait_for_line(pipeline, "assigned", "w1")
    produce(pipeline.servers, pipeline.names.raw, _events(30))
    assert pipeline.run("leave", "--instance-id", "w1").code == 0
    produce(pipeline.servers, pipeline.names.raw, _events(30))
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()


def test_all_workers_of_a_service_leave(pipeline: Pipeline) -> None:
    """With the number of its workers, the names of all of them are taken out."""
    service = pipeline.start(
        "w1", "--workers", "2", consumer_session_timeout_ms="300000", stats_interval_s="1"
    )
    pipeline.wait_for(
        lambda: any(line["workers_reading"] == 2 for line in pipeline.lines("statistics")),
        "sharing the partitions",
    )
    assert terminate(service) == 0
    left = pipeline.run("leave", "--instance-id", "w1", "--workers", "2").out.decode()
    assert [line.split()[0] for line in left.splitlines()] == ["w1-0", "w1-1"]
    assert left.count("has left group") == 2


def test_leaving_with_the_new_group_protocol(pipeline: Pipeline) -> None:
    """There the broker alone decides when a static member is gone; that is said."""
    variables = {"TRACK_CONSUMER_GROUP_PROTOCOL": "consumer"}
    ran = pipeline.run("leave", "--instance-id", "w1", env=variables)
    assert ran.code == ExitCode.KAFKA
    assert "group.consumer.session.timeout.ms" in ran.err


def test_leaving_without_a_name(pipeline: Pipeline) -> None:
    """Workers without one leave by themselves."""
    ran = pipeline.run("leave")
    assert (ran.code, "instance_id: is not set" in ran.err) == (ExitCode.USAGE, True)


def test_offsets_that_a_transaction_holds_are_waited_for(pipeline: Pipeline) -> None:
    """A worker that left a transaction open is gone: its successor says what it waits for."""
    group, raw = pipeline.names.raw, pipeline.names.raw
    cluster = {"bootstrap.servers": pipeline.servers, "log_level": 0}
    gone = Producer({**cluster, **transactional_sender(pipeline.servers, f"gone-{group}")})
    gone.init_transactions(PATIENCE_S)
    gone.begin_transaction()
    with closing(Consumer({**cluster, "group.id": group})) as member:
        metadata = member.consumer_group_metadata()
        gone.send_offsets_to_transaction([TopicPartition(raw, 0, 0)], metadata, PATIENCE_S)
    worker = pipeline.start(**SOON)
    waiting = _wait_for_line(pipeline, "waiting", "w1")
    assert waiting["cause"].startswith(
        f"a transaction that has not ended holds offsets of group {group}"
    )
    gone.abort_transaction(PATIENCE_S)
    assert _wait_for_line(pipeline, "recovered", "w1")["cause"] == waiting["cause"]
    assert _wait_for_line(pipeline, "assigned", "w1")["held"] == 3
    assert not pipeline.lines("recovering")
    assert terminate(worker) == 0
