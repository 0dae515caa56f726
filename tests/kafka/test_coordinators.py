"""What the start needs besides topics: the coordinators of the group and of transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, produce, read_topic, unique
from tests.hostile import EVENT
from tests.kafka.worker_process import Pipeline, terminate

pytestmark = pytest.mark.kafka

QUICK: Final = {"TRACK_STARTUP_TIMEOUT_S": "3"}
STATE_TOPICS: Final = ("__consumer_offsets", "__transaction_state")
TWO_IN_SYNC: Final = {"transaction.state.log.min.isr": "2"}
NO_TRANSACTIONS: Final = {**TWO_IN_SYNC, "transaction.state.log.replication.factor": "3"}
USUAL: Final = {**NO_TRANSACTIONS, "offsets.topic.replication.factor": "3"}
"""Kafka's own defaults, which one broker can't fulfil."""
Brokers = Callable[[dict[str, str]], AbstractContextManager[Pipeline]]


@pytest.fixture
def brokers(tmp_path: Path) -> Brokers:
    """Starts one broker with these properties; gives a pipeline whose topics exist."""

    @contextmanager
    def started(properties: dict[str, str]) -> Iterator[Pipeline]:
        with LocalKafka(properties=properties) as kafka:
            made = Pipeline(kafka.bootstrap_servers, unique, tmp_path)
            made.create_topics()
            yield made
            made.end_all()

    return started


def _says(pipeline: Pipeline, command: str, env: dict[str, str]) -> str:
    ran = pipeline.run(command, env={**QUICK, **env})
    assert ran.code == ExitCode.KAFKA
    # A cause that takes long to find is in a second notice.
    first = next(line for line in ran.err.splitlines() if "available yet: " in line)
    if command == "run":
        first = json.loads(first)["event"]
    sentence = ran.err.splitlines()[-1].removeprefix("track-pipeline: ")
    # What is said while it waits is what is said in the end.
    assert first.partition(": ")[2] == sentence.partition(": ")[2]
    return sentence


def test_one_broker_with_kafkas_own_defaults(brokers: Brokers) -> None:
    """`check` and `run` name the coordinator, the topic, the setting and the remedy in seconds."""
    with brokers(USUAL) as pipeline:
        for delivery in ("exactly-once", "at-least-once"):
            for command in ("check", "run"):
                assert _says(pipeline, command, {"TRACK_DELIVERY": delivery}) == (
                    "the group coordinator is not available within 3 s: Kafka can't create its "
                    "topic __consumer_offsets: offsets.topic.replication.factor is 3, but the "
                    "cluster has 1 broker. Lower it in the brokers' configuration, or add brokers"
                )


def test_transaction_coordinator_is_needed_only_for_transactions(brokers: Brokers) -> None:
    """The transaction coordinator is asked for only where there are transactions."""
    with brokers(NO_TRANSACTIONS) as pipeline:
        without = pipeline.run("check", env={"TRACK_DELIVERY": "at-least-once"})
        assert without.code == ExitCode.OK
        for command in ("check", "run"):
            said = _says(pipeline, command, {})
            assert said.startswith("the transaction coordinator is not available within 3 s: ")
            assert "topic __transaction_state: transaction.state.log.replication.factor is" in said


def test_too_few_replicas_in_sync(brokers: Brokers) -> None:
    """A coordinator that answers, but can't store anything, is not one."""
    with brokers(TWO_IN_SYNC) as pipeline:
        while len(pipeline.admin.topics(STATE_TOPICS)) < len(STATE_TOPICS):
            pipeline.run("check", env=QUICK)  # Kafka creates them when a coordinator is asked for
        for command in ("check", "run"):
            said = _says(pipeline, command, {})
            assert "replicas of its topic __transaction_state are in sync: 1, but" in said
            assert "min.insync.replicas is 2 (taken from the broker's transaction.state." in said


def test_a_check_beside_a_live_worker(pipeline: Pipeline) -> None:
    """With the worker's own settings it disturbs nobody, and leaves nothing behind."""
    worker = pipeline.start()
    record = Sent(EVENT, None, (), RECENT, 0)
    produce(pipeline.servers, pipeline.names.raw, [record])
    pipeline.wait_until_done()
    for _ in range(3):
        assert pipeline.run("check", env={"TRACK_INSTANCE_ID": "w1"}).code == ExitCode.OK
        produce(pipeline.servers, pipeline.names.raw, [record])
        pipeline.wait_until_done()
    assert worker.poll() is None
    assert terminate(worker) == 0
    assert pipeline.lines("recovering") == []
    ids = {each.key for each in read_topic(pipeline.servers, "__transaction_state")}
    own = [name for name in ids if name is not None and pipeline.names.raw.encode() in name]
    assert [name for name in own if name.endswith(b".w1")] == own


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TRANSACTION_TIMEOUT_MS", "900000", ""),
        ("CONSUMER_SESSION_TIMEOUT_MS", "999", "the brokers accept 1000 to 1800000"),
        ("CONSUMER_SESSION_TIMEOUT_MS", "1800001", "the brokers accept 1000 to 1800000"),
    ],
)
def test_time_outs_are_checked_against_the_brokers_limits(
    pipeline: Pipeline, variable: str, value: str, says: str
) -> None:
    """Time-outs that the brokers would reject, the group in silence, are reported at the start."""
    env = {f"TRACK_{variable}": value, "TRACK_CONSUMER_MAX_POLL_INTERVAL_MS": "2000000"}
    for command in ("check", "run") if says else ("check",):
        ran = pipeline.run(command, env=env)
        assert ran.code == (ExitCode.KAFKA if says else ExitCode.OK)
        assert says in ran.err


def test_a_transaction_longer_than_the_broker_allows(brokers: Brokers) -> None:
    """The broker's limit and ours are named."""
    with brokers({"transaction.max.timeout.ms": "30000"}) as pipeline:
        ran = pipeline.run("check")
        assert ran.code == ExitCode.KAFKA
        assert "transaction_timeout_ms is 60000, but the brokers' transaction.max." in ran.err
