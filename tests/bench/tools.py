"""Times the commands that read whole topics, as a user runs them, on the same topics each time.

With another checkout of this project (`--against`), its commands run in turn with ours: the same
raw topic, but outputs that its own worker has written.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.demo.generate import Generator
from pipeline.settings.model import Settings
from tests.bench.brokers import (
    PARTITIONS,
    bench_settings,
    create_topics,
    fill,
    kafka_with_topics,
    topic_flags,
)
from tests.bench.children import PYTHON, cores
from tests.bench.kafka import raw_values
from tests.bench.results import Cell, Column, Goal, Report, Result
from tests.bench.rounds import median_of, run_rounds, spread

_OURS: Final = Path(__file__).resolve().parents[2]
_SECONDS: Final = 1800.0
_BEGINNING: Final = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
"""Codes of a group whose coordinator is being found."""
_GOAL: Final = 1.1
"""CPU time over that of the other checkout: as much, but for noise."""
_INVALID: Final = 0.1
"""Share of invalid events: enough dead letters for the tools that read them."""
_COLUMNS: Final = (Column("command"), Column("CPU, s", ".2f"), Column("elapsed, s", ".2f"))
_COMPARED: Final = (
    Column("CPU, other, s", ".2f"),
    Column("elapsed, other, s", ".2f"),
    Column("CPU × other", ".2f"),
    Column("min–max"),
)


class Timed(NamedTuple):
    """Seconds of one command, with all of its processes."""

    cpu_s: float
    elapsed_s: float


class Checkout(NamedTuple):
    """A checkout of this project, and settings of the topics that belong to it."""

    folder: Path
    settings: Settings

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of its program."""
        servers = str(self.settings.kafka["bootstrap.servers"])
        program = [sys.executable, "-m", "pipeline"]
        return [*program, *arguments, "--bootstrap-servers", servers]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make Python take its package, and the package its topics."""
        topics = self.settings.topics
        # The slower core; a checkout that has only one does not know the variable.
        core = {"TRACK_CORE": PYTHON} if self.folder == _OURS and len(cores()) > 1 else {}
        return {
            **os.environ,
            **core,
            "PYTHONPATH": str(self.folder),
            "TRACK_GROUP": self.settings.group,
            "TRACK_TOPICS__RAW": topics.raw,
            "TRACK_TOPICS__ENRICHED": topics.enriched,
            "TRACK_TOPICS__DEAD_LETTER": topics.dead_letter,
            "TRACK_TOPICS__IDENTIFY": topics.identify,
        }


def _commands(settings: Settings) -> dict[str, tuple[str, ...]]:
    compare = ("--compare", settings.topics.enriched)
    return {
        "dlq summary": ("dlq", "summary"),
        "dlq check": ("dlq", "check"),
        "dlq redrive": ("dlq", "redrive", "--max", "10000000"),
        "audit": ("audit",),
        "audit --revenue": ("audit", "--revenue"),
        "replay --dry-run": ("replay", "--dry-run"),
        "replay --dry-run --compare": ("replay", "--dry-run", *compare),
        "replay --execute": ("replay", "--execute"),
    }


def measure_tools(report: Report, rounds: int, events: int, against: Path | None) -> None:
    """Time each command of this checkout, and of the other one when there is one."""
    with kafka_with_topics(report) as settings:
        generator = Generator(7, invalid_share=_INVALID)
        report.progress(f"wrote {fill(settings, raw_values(events, generator)):,} raw records")
        ours = _checkout(settings, _OURS, "ours")
        theirs = None if against is None else _checkout(settings, against.resolve(), "other")
        checkouts = [each for each in (ours, theirs) if each is not None]
        for each in checkouts:
            _write_outputs(each, events)
            report.progress(f"wrote the outputs of {each.settings.group}")
        runs = run_rounds(_variants(checkouts), rounds)
    title = f"tools, core: python, {events:,} raw records, {_INVALID:.0%} invalid, {rounds} rounds"
    report.add(_result(title, runs, ours, theirs))


def _checkout(settings: Settings, folder: Path, name: str) -> Checkout:
    servers = str(settings.kafka["bootstrap.servers"])
    flags = {**topic_flags(name), "topics.raw": settings.topics.raw, "group": name}
    own = bench_settings(servers, flags)
    create_topics(own, PARTITIONS, for_tools=True)
    return Checkout(folder, own)


def _variants(checkouts: list[Checkout]) -> dict[str, Callable[[], Timed]]:
    """Return all commands, each right before that of the other checkout."""
    return {
        f"{each.settings.group}: {name}": partial(_time, each, arguments)
        for name in _commands(checkouts[0].settings)
        for each in checkouts
        for arguments in (_commands(each.settings)[name],)
    }


def _result(
    title: str, runs: dict[str, list[Timed]], ours: Checkout, theirs: Checkout | None
) -> Result:
    rows, goals = list[list[Cell]](), list[Goal]()
    for name in _commands(ours.settings):
        own = runs[f"{ours.settings.group}: {name}"]
        row: list[Cell] = [name, median_of(own, "cpu_s"), median_of(own, "elapsed_s")]
        if theirs is not None:
            other = runs[f"{theirs.settings.group}: {name}"]
            ratio = spread([run.cpu_s for run in own], [run.cpu_s for run in other])
            medians = (median_of(other, "cpu_s"), median_of(other, "elapsed_s"))
            row += [*medians, ratio.median, ratio.extent]
            goals.append(Goal(f"{name} over the other checkout", ratio.median, _GOAL))
        rows.append(row)
    columns = _COLUMNS if theirs is None else (*_COLUMNS, *_COMPARED)
    return Result(title, columns, rows, goals, ("with the start of the program",))


def _time(checkout: Checkout, arguments: tuple[str, ...]) -> Timed:
    """Run a command to its end: only the dlq commands may find something wrong, exit code 1."""
    command, started = checkout.command(*arguments, "--json"), time.perf_counter()
    before = os.times()
    done = subprocess.run(
        command,
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    after = os.times()
    if done.returncode > int(arguments[0] == "dlq"):
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Timed(used, time.perf_counter() - started)


def _write_outputs(checkout: Checkout, events: int) -> None:
    """Run its worker over the raw topic."""
    deadline = time.monotonic() + _SECONDS
    with tempfile.TemporaryFile() as log, _worker(checkout, log) as worker:
        while _committed(checkout.settings) < events:
            if worker.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                last = log.read()[-2000:].decode(errors="replace")
                raise SystemExit(f"the worker of {checkout.folder} did not come to the end: {last}")
            time.sleep(0.5)


@contextmanager
def _worker(checkout: Checkout, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        checkout.command("run"), cwd=checkout.folder, env=checkout.environment, stderr=log
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def _committed(settings: Settings) -> int:
    """Return how many records of the raw topic the group has committed; 0 as long as it begins."""
    servers = settings.kafka["bootstrap.servers"]
    consumer: Any = Consumer({"bootstrap.servers": servers, "group.id": settings.group})
    try:
        places = [TopicPartition(settings.topics.raw, number) for number in range(PARTITIONS)]
        return sum(max(0, place.offset) for place in consumer.committed(places, timeout=30))
    except KafkaException as error:
        if error.args[0].code() not in _BEGINNING:
            raise
        return 0
    finally:
        consumer.close()
