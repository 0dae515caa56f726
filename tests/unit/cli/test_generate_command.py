"""`track-pipeline generate`: lines, or records of a topic; every way to end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Self

import pytest

from pipeline.core.record import Headers
from pipeline.demo.generate import Generated, Generator
from pipeline.demo.generate.writing import Pace
from pipeline.errors import ExitCode
from tests.unit.cli.program import TIMEOUT_S, command, environment, run


def made(count: int, **plan: Any) -> list[Generated]:
    """What the command has to write."""
    return list(islice(Generator(**plan), count))


def test_command_writes_lines(tmp_path: Path) -> None:
    """The generator's lines are written, as many as requested; counts go to standard error."""
    options = ("--count", "400", "--seed", "3", "--invalid-share", "0.3", "--batch-share", "0.1")
    ran = run("generate", *options, "--users", "50")
    wanted = made(400, seed=3, invalid_share=0.3, batch_share=0.1, users=50, lines=True)
    assert ran.code == ExitCode.OK
    assert ran.out == b"".join((record.value or b"") + b"\n" for record in wanted)
    events = sum(record.events for record in wanted)
    assert f"400 records with {events:,} events" in ran.err
    assert "null_value, empty_value" in ran.err
    file = tmp_path / "events.ndjson"
    assert run("generate", *options, "--users", "50", "--output", file).out == b""
    assert file.read_bytes() == ran.out


def test_command_and_transform_agree() -> None:
    """`transform` finds what `generate` reports about its lines."""
    lines = run("generate", "--count", "500", "--invalid-share", "0.2").out
    ran = run("transform", "--json", stdin=lines)
    wanted = made(500, invalid_share=0.2, lines=True)
    summary = json.loads(ran.err.splitlines()[0])
    assert summary["events"] == sum(record.events for record in wanted)
    refused = Counter(reason.value for record in wanted for reason in record.invalid)
    assert summary["reasons"] == refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rate", "5"), "--rate is for --topic only"),
        (("--topic", "t", "--output", "f"), "exclude each other"),
        (("--topic", "no topic"), "is not a valid topic name"),
        (("--topic", "t"), "kafka.bootstrap.servers: is not set"),
        (("--start", "1969-12-31"), "years 1971 to 2099"),
        (("--invalid-share", "2"), "--invalid-share"),
        (("--output", "/dev/null/x"), "/dev/null/x: can't be written: Not a directory"),
    ],
)
def test_command_rejects_wrong_options(arguments: tuple[str, ...], sentence: str) -> None:
    """A wrong option is one sentence that names it, and nothing is written."""
    ran = run("generate", *arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert sentence in ran.err


def started(*arguments: str) -> subprocess.Popen[bytes]:
    """The command as a process that writes more than a pipe holds."""
    return subprocess.Popen(
        command("generate", "--count", "10000000", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what readline() had read ahead, communicate() would miss
        env=environment(),
    )


def test_command_ends_quietly_when_nobody_reads() -> None:
    """As in `generate | head -1`: no message, and the exit code of every command for it."""
    with started() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"')
        process.stdout.close()
        assert process.wait(TIMEOUT_S) == ExitCode.READER_GONE
        assert process.stderr.read() == b""


def test_command_ends_with_a_count_when_interrupted() -> None:
    """Ctrl-C ends it after a whole line, with the count and exit code 130."""
    with started() as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == ExitCode.INTERRUPTED
    assert (first + out).endswith(b"\n")
    said = err.decode().partition(" records")[0].removeprefix("interrupted: ")
    lines = (first + out).count(b"\n")
    assert lines - 1 <= int(said.replace(",", "")) <= lines


class FakeKafka:
    """Stands for `Publisher` and `admin`: a cluster with one topic, `raw`."""

    sent: list[tuple[str, bytes | None, bytes | None, int]]
    config: dict[str, str]

    def __init__(self) -> None:
        self.sent = []
        self.flushed = False

    def publisher(self, kafka: dict[str, str], _on_wait: Callable[[str], None]) -> FakeKafka:
        """Instead of the class's constructor."""
        self.config = kafka
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.flushed = error == (None, None, None)

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        timestamp: int = 0,
        headers: Headers = (),
    ) -> None:
        """Remember a record."""
        assert headers == ()
        self.sent.append((topic, value, key, timestamp))

    def wait_until_reachable(self) -> int:
        """It is."""
        return 1

    def topics(self, names: list[str]) -> dict[str, None]:
        """The topics among them that exist."""
        return dict.fromkeys({"raw"} & set(names))


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    """A cluster that the command takes for real."""
    fake = FakeKafka()
    monkeypatch.setattr("pipeline.kafka.Publisher", fake.publisher)
    monkeypatch.setattr("pipeline.wiring.admin", lambda _settings: fake)
    return fake


def test_command_writes_to_a_topic(kafka: FakeKafka) -> None:
    """Every record has its key and time, also tombstones; all are acknowledged before the count."""
    options = ("--count", "300", "--invalid-share", "0.5", "--start", "2025-06-01T00:00:00")
    server = ("--bootstrap-servers", "broker:9092")
    ran = run("generate", *options, *server, "--topic", "raw", "--rate", "1000000")
    begin = 1_748_736_000_000
    wanted = made(300, invalid_share=0.5, start=begin, interval_ms=1000 / 1_000_000)
    assert ran.code == ExitCode.OK
    assert kafka.sent == [("raw", r.value, r.key, r.timestamp) for r in wanted]
    assert None in [value for _, value, _, _ in kafka.sent]
    assert kafka.flushed
    assert kafka.config["bootstrap.servers"] == "broker:9092"
    assert "written to topic raw" in ran.err


def test_command_refuses_a_missing_topic(kafka: FakeKafka) -> None:
    """A topic is never created by writing to it; the sentence says how to create it."""
    ran = run("generate", "--bootstrap-servers", "broker:9092", "--topic", "rwa")
    assert ran.code == ExitCode.KAFKA
    assert "topic rwa does not exist; create it: track-pipeline topics create" in ran.err
    assert kafka.sent == []


def test_pace_waits_for_each_turn() -> None:
    """A pace waits for each record's turn and catches up after a delay, with no extra wait."""
    now = 100.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(round(seconds, 6))
        now += seconds

    pace = Pace(10, clock=lambda: now, sleep=sleep)
    for _ in range(3):
        pace.wait()
    assert slept == [0.1, 0.1]
    now += 0.25  # a slow broker
    for _ in range(3):
        pace.wait()
    assert slept == [0.1, 0.1, 0.05]
