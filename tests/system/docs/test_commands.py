"""Commands in the texts can be typed as they stand, and print what is shown."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.kafka import Admin
from tests.system.docs.shell import bash, check, commands, make_targets, parse
from tests.system.docs.texts import NAMES, Block, blocks, matches, spans
from tests.unit.cli.program import TIMEOUT_S, command, environment

BLOCKS: Final = blocks("README.md", "sh")
OFFLINE: Final = [b for b in BLOCKS if all(c.needs_no_kafka for c in commands(b.text))]
KAFKA: Final = [b for b in BLOCKS if b.section == "Your own Kafka" and b not in OFFLINE]
_COMMANDS: Final = (
    "run",
    "check",
    "transform",
    "explain",
    "generate",
    "topics",
    "demo",
    "audit",
    "dlq",
    "replay",
)
_GENERATED: Final = 1000
"""Records that the README's command writes."""


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.text.splitlines()[0])
def test_could_be_run(block: Block) -> None:
    """Each command exists, with these options, settings and files."""
    found = list(commands(block.text))
    assert found
    for each in found:
        check(each)


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_sentences(name: str) -> None:
    """So does each command that is mentioned with options."""
    for span in spans(name):
        words = span.removeprefix("track-pipeline ").split()
        if "…" not in span and words[0] in _COMMANDS and (len(words) > 1 or words[0] != span):
            # Values and arguments may be left out; an option that does not exist fails.
            with suppress(click.BadOptionUsage, click.MissingParameter):
                parse(words)
        elif words[0] == "make" and len(words) > 1:
            assert words[1] in make_targets(), span


def test_what_needs_no_kafka(tmp_path: Path) -> None:
    """In one folder, one after the other: each succeeds, and prints what is shown."""
    assert [block for block in OFFLINE if block.output]
    for block in OFFLINE:
        ran = bash(block.text, tmp_path, {})
        assert ran.returncode == 0, ran.stdout
        if block.output is not None:
            assert matches(block.output, ran.stdout), ran.stdout


@pytest.mark.kafka
def test_from_nothing_to_a_running_worker(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """The steps of "Your own Kafka", on a broker that nobody has used: the worker works."""
    kafka = {"bootstrap.servers": own_kafka.bootstrap_servers}
    address = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": own_kafka.bootstrap_servers}
    unread = [_GENERATED, 0]  # by the first worker, and by the second
    for block in KAFKA:
        for line in block.text.splitlines():
            (each,) = commands(line)
            if each.is_ours and each.words[1] == "run":
                _run_worker(each.words[1:], {**address, **each.variables}, unread.pop(0))
            elif each.is_ours:
                ran = bash(line, tmp_path, address)
                assert ran.returncode == 0, ran.stdout
                if block.output is not None:
                    assert matches(block.output, ran.stdout), ran.stdout
    assert not unread
    progress = Admin(kafka, TIMEOUT_S).progress("track-pipeline", "track.raw")
    assert progress.committed == progress.total == _GENERATED


def _run_worker(arguments: list[str], variables: dict[str, str], unread: int) -> None:
    """Start the worker, wait until it has read so many records, stop it."""
    with subprocess.Popen(
        command(*arguments),
        env={**environment(), **variables, "TRACK_STATS_INTERVAL_S": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        watchdog = threading.Timer(TIMEOUT_S, worker.kill)
        watchdog.start()
        try:
            assert worker.stderr is not None
            lines = (json.loads(line) for line in worker.stderr if line.startswith("{"))
            next(line for line in lines if line.get("total_consumed", -1) >= unread)
            worker.send_signal(signal.SIGTERM)
            worker.stderr.read()
            assert worker.wait() == 0
        finally:
            watchdog.cancel()
            worker.kill()


def test_a_wrong_output_is_seen() -> None:
    """The comparison that the tests above rely on can fail, and `…` stands for whole lines only."""
    assert matches("a\n…\nc\n", "a\nb\nb\nc\n")
    assert matches("a\n…\n", "a\n")
    assert not matches("a\n…\nc\n", "a\nb\nd\n")
    assert not matches("a\n", "a\nb\n")
