"""Commands in the documents can be typed as they are, and print what is shown."""

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

from pipeline.cli.main import COMMANDS
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.kafka import Admin
from tests.system.docs.shell import bash, check, commands, make_targets, parse
from tests.system.docs.snippets import NAMES, Block, blocks, matches, spans
from tests.unit.cli.program import TIMEOUT_S, command, environment

PAGES: Final = [name for name in NAMES if blocks(name, "sh")]
RUN_ELSEWHERE: Final = {
    "docs/how-to/handle-dead-letters.md": "test_dead_letter_tutorial.py",
    "docs/how-to/test-a-change.md": "test_change_tutorial.py",
    "docs/how-to/replay.md": "test_replay_tutorial.py",
    "docs/how-to/after-a-replay.md": "test_replay_tutorial.py",
    "docs/capacity.md": "test_capacity.py",
    "docs/how-to/avro.md": "test_avro_tutorial.py",
}
"""Page → the test that runs all of its commands."""
NOT_RUN: Final = {
    "schemas/README.md": "tests/unit/cli runs explain and schemas diff",
    "docs/how-to/secure-cluster.md": "tests/kafka/test_acl.py holds the permissions it grants",
    "docs/how-to/other-calls.md": "tests/kafka/test_other_calls.py does what it says",
    "docs/how-to/upgrade.md": "tests/oracle/test_tools.py, tests/kafka/test_rolling_upgrade.py",
    "docs/how-to/deploy.md": "tests/system/deploy looks at the image and the compose file",
    "docs/how-to/watch.md": "tests/kafka/test_monitor.py runs both commands",
    "deploy/helm/track-pipeline/README.md": "tests/system/deploy renders the chart",
    "deploy/kubernetes/README.md": "tests/system/deploy looks at the manifests",
    "docs/how-to/chaos.md": "tests/system/chaos runs a short form",
    "docs/benchmarks.md": "it takes half an hour, and no two machines print the same",
    "docs/how-to/compiled-core.md": ".ci/run compiles, tests/unit/compiled tests the choice",
    "docs/how-to/monitor.md": "tests/system/deploy scrapes a worker with these rules",
    "docs/runbook.md": "its commands are for incidents, which tests/system/chaos makes",
}
"""Page whose commands are only parsed → why that is enough."""
RUN_BESIDE_OTHERS: Final = {"leave": "tests/kafka/test_waiting.py"}
"""Command that needs workers that are still alive → the test that has them."""
WITHOUT_KAFKA: Final = ("README.md", "docs/quickstart.md")
ON_KAFKA: Final = (
    ("README.md",),
    ("docs/how-to/own-kafka.md", "docs/how-to/several-workers.md", "docs/how-to/audit.md"),
)
"""Pages whose commands are run one after the other, each row on a broker of its own."""
_GENERATED: Final = 1000
"""Records that the first page of each row writes."""


ALL: Final = [
    (name, block) for name in PAGES if name not in RUN_ELSEWHERE for block in blocks(name, "sh")
]


@pytest.mark.parametrize(
    ("name", "block"), ALL, ids=[f"{name}, line {each.line}" for name, each in ALL]
)
def test_could_be_run(name: str, block: Block) -> None:
    """Each command exists, with these options, settings and files."""
    found = list(commands(block.text))
    assert found, name
    for each in found:
        check(each)


def test_every_page_is_run() -> None:
    """A page with commands is run by a test, or it is said why not."""
    here = {*WITHOUT_KAFKA, *(name for row in ON_KAFKA for name in row)}
    assert here | RUN_ELSEWHERE.keys() | NOT_RUN.keys() == set(PAGES)


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_sentences(name: str) -> None:
    """Each command that is mentioned with options exists, with these options."""
    for span in spans(name):
        words = span.removeprefix("track-pipeline ").split()
        if "…" not in span and words[0] in COMMANDS and (len(words) > 1 or words[0] != span):
            # Values and arguments may be left out; an option that does not exist fails.
            with suppress(click.BadOptionUsage, click.MissingParameter):
                parse(words)
        elif words[0] == "make" and len(words) > 1:
            assert words[1] in make_targets(), span


def _offline(name: str) -> list[Block]:
    return [
        block
        for block in blocks(name, "sh")
        if all(each.needs_no_kafka for each in commands(block.text))
    ]


@pytest.mark.parametrize("name", WITHOUT_KAFKA)
def test_what_needs_no_kafka(name: str, tmp_path: Path) -> None:
    """In one folder, one after the other: each succeeds, and prints what is shown."""
    assert [block for block in _offline(name) if block.output]
    for block in _offline(name):
        ran = bash(block.text, tmp_path, {})
        assert ran.returncode == 0, ran.stdout
        if block.output is not None:
            assert matches(block.output, ran.stdout), ran.stdout


@pytest.mark.kafka
@pytest.mark.parametrize("names", ON_KAFKA, ids=lambda names: names[0])
def test_from_nothing_to_a_running_worker(
    own_kafka: LocalKafka, tmp_path: Path, names: tuple[str, ...]
) -> None:
    """The steps of a page, on a broker that nobody has used: the worker works."""
    address = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": own_kafka.bootstrap_servers}
    unread = _GENERATED  # nothing more, once the first worker has run
    for block in (block for name in names for block in _online(name)):
        for line in block.text.splitlines():
            (each,) = commands(line)
            if each.is_ours and each.words[1] == "run":
                _run_worker(each.words[1:], {**address, **each.variables}, unread)
                unread = 0
            elif each.is_ours and each.words[1] not in RUN_BESIDE_OTHERS:
                ran = bash(line, tmp_path, address)
                assert ran.returncode == 0, ran.stdout
                if block.output is not None:
                    assert matches(block.output, ran.stdout), ran.stdout
    assert not unread
    kafka = {"bootstrap.servers": own_kafka.bootstrap_servers}
    progress = Admin(kafka, TIMEOUT_S).progress("track-pipeline", "track.raw")
    assert progress.committed == progress.total == _GENERATED


def _online(name: str) -> list[Block]:
    """What needs Kafka; `make` starts what is tested elsewhere."""
    return [
        block
        for block in blocks(name, "sh")
        if block not in _offline(name) and not block.text.startswith("make ")
    ]


def _run_worker(arguments: list[str], variables: dict[str, str], unread: int) -> None:
    """Start the worker, wait until it has read so many records, stop it."""
    with subprocess.Popen(
        command(*arguments),
        env={**environment(), **variables, "TRACK_STATS_INTERVAL_S": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        watchdog = threading.Timer(2 * TIMEOUT_S, worker.kill)
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
