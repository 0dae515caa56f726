"""The embedded Kafka: a real broker that starts, keeps its data, and never outlives its owner."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from confluent_kafka import Producer

from pipeline.demo.local_kafka import broker as local_kafka
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import LocalKafkaError
from tests.brokers import Sent, create_topics, no_broker, produce, read_topic, unique

pytestmark = pytest.mark.kafka

_GONE_S: Final = 30
_OWNER: Final = """
import sys
from pipeline.demo.local_kafka.broker import LocalKafka
kafka = LocalKafka()
kafka.start()
print(kafka.pid, kafka.directory, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def progress() -> list[str]:
    """What `kafka` has reported."""
    return []


@pytest.fixture(scope="module")
def kafka(progress: list[str]) -> Iterator[LocalKafka]:
    """A broker of this module's own: some tests restart it."""
    settings = {"message.max.bytes": "20000"}
    broker = LocalKafka(properties=settings, on_progress=progress.append)
    try:
        broker.start()
    except LocalKafkaError as error:
        no_broker(str(error))
    yield broker
    broker.stop()


def _values(kafka: LocalKafka, topic: str) -> list[bytes | None]:
    return [record.value for record in read_topic(kafka.bootstrap_servers, topic)]


def _new_topic(kafka: LocalKafka, **config: str) -> str:
    topic = unique("topic")
    create_topics(kafka.bootstrap_servers, topic, config=config)
    return topic


def test_says_what_it_does_from_the_first_moment_until_it_is_ready(
    kafka: LocalKafka, progress: list[str]
) -> None:
    """Progress begins with the jars and ends with the address, in the order of the work."""
    stages = [line.split(" ", 1)[0] for line in progress]
    once = list(dict.fromkeys(stage for stage in stages if stage not in {"downloading", "waiting"}))
    assert once == ["resolving", "formatting", "starting", "ready:"]
    assert kafka.bootstrap_servers in progress[-1]


def test_transactions_commit_and_abort(kafka: LocalKafka) -> None:
    """A committed transaction is read as written, an aborted one not at all."""
    topic = _new_topic(kafka)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique("producer")}
    )
    producer.init_transactions(30)
    for value, end in (
        (b"kept", producer.commit_transaction),
        (b"dropped", producer.abort_transaction),
    ):
        producer.begin_transaction()
        producer.produce(topic, value, b"key", headers=[("h", b"1")], timestamp=1_449_947_461_300)
        producer.flush(30)
        end(30)
    (record,) = read_topic(kafka.bootstrap_servers, topic)
    assert record == (b"kept", b"key", [("h", b"1")], 1_449_947_461_300, 0, 0)
    uncommitted = read_topic(kafka.bootstrap_servers, topic, "read_uncommitted")
    assert [record.value for record in uncommitted] == [b"kept", b"dropped"]


def test_broker_properties_are_taken(kafka: LocalKafka) -> None:
    """A property that the caller gives decides what the broker accepts."""
    topic = _new_topic(kafka)
    with pytest.raises(AssertionError, match="Message size too large"):
        produce(kafka.bootstrap_servers, topic, [Sent(b"x" * 20_001)])


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_restart_keeps_address_and_data(kafka: LocalKafka, crash: bool) -> None:  # noqa: FBT001
    """What was acknowledged is there after a restart, on the same port, and more can be written."""
    address, pid = kafka.bootstrap_servers, kafka.pid
    topic = _new_topic(kafka)
    produce(address, topic, [Sent(b"before")])
    if crash:
        kafka.kill()
        assert not kafka.running
    kafka.restart()
    assert kafka.bootstrap_servers == address
    assert kafka.pid != pid
    produce(address, topic, [Sent(b"after")])
    assert _values(kafka, topic) == [b"before", b"after"]


def test_a_given_directory_is_kept_and_used_again(tmp_path: Path) -> None:
    """A broker on the directory of an earlier one, on another port, has the earlier one's data."""
    directory = tmp_path / "made" / "here"
    with LocalKafka(directory) as first:
        topic = _new_topic(first)
        produce(first.bootstrap_servers, topic, [Sent(b"kept")])
    with LocalKafka(directory) as second:
        assert _values(second, topic) == [b"kept"]
        with pytest.raises(LocalKafkaError, match="another broker uses the same data directory"):
            LocalKafka(directory).start()
    assert b"Kafka Server started" in (directory / "broker.log").read_bytes()


def test_stop_leaves_nothing(own_kafka: LocalKafka) -> None:
    """After stop there is no process, no listener and no temporary directory."""
    assert own_kafka.pid is not None
    processes = _process_and_guard(own_kafka.pid)
    directory = own_kafka.directory
    address = own_kafka.bootstrap_servers.rsplit(":", 1)
    own_kafka.stop()
    assert not any(process.is_running() for process in processes)
    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address[0], int(address[1])))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_no_broker_outlives_its_owner(end: signal.Signals | None) -> None:
    """However its owner ends (killed, terminated, or by itself), broker and folder go with it."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        said = owner.stdout.readline().split()
        if not said:
            no_broker("the embedded Kafka does not start")
        processes = _process_and_guard(int(said[0]))
        directory = Path(said[1])
        assert directory.is_dir()
        if end is None:
            owner.stdin.close()
        else:
            owner.send_signal(end)
        _, alive = psutil.wait_procs(processes, timeout=_GONE_S)
    assert not alive
    assert not directory.exists()


def test_an_interrupted_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the broker comes up ends it and removes its directory."""
    kafka = LocalKafka()
    seen: list[psutil.Process] = []
    folders: list[Path] = []

    def interrupt(port: int) -> bool:
        assert kafka.bootstrap_servers.endswith(f":{port}")
        assert kafka.pid is not None
        seen.extend(_process_and_guard(kafka.pid))
        folders.append(kafka.directory)
        raise KeyboardInterrupt

    monkeypatch.setattr(local_kafka, "serves", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kafka.start()
    assert len(seen) == 2
    assert not any(process.is_running() for process in seen)
    assert not folders[0].exists()


def test_a_taken_port_is_one_sentence() -> None:
    """A port that somebody listens on is refused before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        kafka = LocalKafka(port=port)
        with pytest.raises(LocalKafkaError) as caught:
            kafka.start()
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is taken by another program: "
        "choose another, or let a free one be chosen"
    )
    assert kafka.pid is None


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_an_impossible_port_is_one_sentence(port: int) -> None:
    """A number that no port has is refused as such."""
    with pytest.raises(LocalKafkaError, match="is not a port number from 1 to 65535"):
        LocalKafka(port=port).start()


def test_the_broker_s_refusal_is_in_the_sentence() -> None:
    """When the broker itself refuses to start, its own words say why."""
    kafka = LocalKafka(properties={"message.max.bytes": "lots"})
    with pytest.raises(LocalKafkaError) as caught:
        kafka.start()
    assert "Invalid value lots for configuration message.max.bytes" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not kafka.running


def test_a_start_that_takes_too_long_is_one_sentence() -> None:
    """A broker that is not ready in time is ended, and the sentence says so."""
    kafka = LocalKafka(start_timeout_s=0.001)
    with pytest.raises(LocalKafkaError, match=r"was not ready within 0\.001 s; use `docker comp"):
        kafka.start()
    assert not kafka.running


def test_a_directory_that_can_t_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A data directory below a file names the place."""
    (tmp_path / "file").touch()
    with pytest.raises(LocalKafkaError, match=r"file/data: Not a directory"):
        LocalKafka(tmp_path / "file" / "data").start()


def _process_and_guard(pid: int) -> list[psutil.Process]:
    broker = psutil.Process(pid)
    guard = broker.parent()
    assert guard is not None
    assert any("guard.py" in argument for argument in guard.cmdline())
    return [broker, guard]
