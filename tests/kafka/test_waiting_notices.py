"""No command waits for Kafka without a word: what it waits for, and what is wrong."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.ports import HOST, free_port
from pipeline.errors import ExitCode, TransportError
from pipeline.kafka import Admin, wait_notices
from pipeline.kafka.wait_notices import PollingWait, announced
from pipeline.topics import CreateOptions, TopicNames, specs
from tests.kafka.mock_cluster import Api, MockCluster
from tests.unit.cli.program import run

pytestmark = pytest.mark.kafka

PATIENCE_S = 30.0
ELSEWHERE = "kafka-internal.invalid:9092"
NAMES = TopicNames(
    "track.raw", "track.enriched", "track.dead-letter", "track.identify", "track.other"
)


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    """Address at which a broker answers that calls itself by a name which is not known here.

    As a broker in a container does that is reached from its host. All topics exist.
    """
    port, outer, controller = free_port(), free_port(), free_port()
    addresses = {
        "listeners": f"PLAINTEXT://{HOST}:{port},OUTER://{HOST}:{outer},"
        f"CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port},OUTER://{ELSEWHERE}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT,"
        "CONTROLLER:PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
    }
    with LocalKafka(port=port, properties=addresses) as kafka:
        inside = Admin({"bootstrap.servers": kafka.bootstrap_servers}, PATIENCE_S)
        inside.create(specs(NAMES, CreateOptions(1, 1, None, 30.0), None))
        yield f"{HOST}:{outer}"


@pytest.mark.parametrize(
    "command",
    [
        "check",
        "run",
        "topics create",
        "audit",
        "replay --from 2024-01-01 --to 2024-01-02",
        "replay list",
        "generate --topic track.raw --count 1",
        "dlq summary",
        "dlq history",
        "dlq redrive",
    ],
)
def test_a_listener_that_names_another_address(listener: str, command: str) -> None:
    """Both addresses and the remedy are told while the command waits, and when it ends."""
    env = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": listener, "TRACK_STARTUP_TIMEOUT_S": "4"}
    ran = run(*command.split(), env=env)
    assert ran.code == ExitCode.KAFKA
    says = f"the broker at {listener} answers but advertises itself as {ELSEWHERE}, a name that"
    while_waiting, *_, last = (line for line in ran.err.splitlines() if says in line)
    assert "answer yet" in while_waiting or "still asking for the topics" in while_waiting
    assert last.startswith("track-pipeline: ")
    assert "correct its advertised.listeners" in last


def test_the_first_notice_does_not_wait_for_its_cause() -> None:
    """A cause that takes long to find is given when it is found."""
    words: list[str] = []
    noticed, found = threading.Semaphore(0), threading.Event()

    def say(word: str) -> None:
        words.append(word)
        noticed.release()

    def why() -> str:
        assert found.wait(PATIENCE_S)
        return ": a cable"

    with announced(say, "waiting", why) as wait:
        assert noticed.acquire(timeout=PATIENCE_S)
        assert words == ["waiting"]
        found.set()
        assert noticed.acquire(timeout=PATIENCE_S)
        wait.end("it is there")
    assert words[:2] == ["waiting", "waiting: a cable"]
    assert re.fullmatch(r"it is there, after \d+ s", words[2])


def test_a_long_wait_is_announced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks an hour later still sees what is waited for, and a cause found meanwhile."""
    monkeypatch.setattr(wait_notices, "AGAIN_S", 0.01)
    monkeypatch.setattr(wait_notices, "_LOOK_S", 0.01)
    words: list[str] = []
    noticed, causes = threading.Semaphore(0), iter(["", ": a cable", ": a cable"])

    def say(word: str) -> None:
        words.append(word)
        noticed.release()

    with announced(say, "waiting", lambda: next(causes, "")):
        for _ in range(3):
            assert noticed.acquire(timeout=PATIENCE_S)
    assert words[:3] == ["waiting", "waiting: a cable", "waiting: a cable"]


def test_a_long_wait_of_a_polling_loop_is_announced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice comes after a moment and is repeated, not at each poll."""
    clock, told = [0.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    wait = PollingWait(lambda _: told.append(clock[0]))
    for clock[0] in range(40):
        wait.elapsed(lambda: "waiting")
    assert told == [1, 11, 21, 31]


def test_a_quick_call_is_not_announced() -> None:
    """Nothing is said about a call that returns at once, however long its cause would take."""
    words: list[str] = []
    with announced(words.append, "waiting", lambda: "") as wait:
        wait.end("it is there")
    assert words == []


def test_nothing_is_said_about_a_wait_that_is_over() -> None:
    """A cause that is found too late is not given."""
    words: list[str] = []
    asked, found, answered = threading.Event(), threading.Event(), threading.Event()

    def why() -> str:
        asked.set()
        assert found.wait(PATIENCE_S)
        answered.set()
        return ""

    with announced(words.append, "waiting", why):
        assert asked.wait(PATIENCE_S)
        seen = list(words)
    found.set()
    assert answered.wait(PATIENCE_S)
    assert words[len(seen) :] == []


def test_every_request_is_announced() -> None:
    """Each request that is not answered is announced, and not only the first."""
    with MockCluster() as cluster:
        cluster.create_topic("t")
        words: list[str] = []
        admin = Admin({"bootstrap.servers": cluster.bootstrap_servers}, 3.0, words.append)
        assert admin.wait_until_reachable() == 1
        cluster.push(Api.LIST_OFFSETS, [0], delay_ms=10_000)
        with pytest.raises(TransportError, match="topic t"):
            admin.extents("t")
        assert words == ["still asking for the offsets of topic t"]
