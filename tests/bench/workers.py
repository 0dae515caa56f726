"""Measures `run --workers 2` against one worker, on a real Kafka on the same machine.

Both run as users run them, and are measured by their own statistics lines: from the moment when
all workers have partitions to the last but one, since a worker may be idle at the end. The broker
shares the processors with them, so two workers on two processors can't be twice as fast.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.bench.brokers import PARTITIONS
from tests.bench.kafka import filled_kafka

_SECONDS: Final = 300.0
_POLL_S: Final = 0.2
_NUMBERS: Final = (1, 2)


class Measured(NamedTuple):
    """Figures of one run."""

    per_second: float
    cpu_us: float
    """CPU microseconds of all worker processes per event."""


def measure_workers(console: Console, rounds: int, events: int) -> None:
    """Measure one and two workers, and print a table."""
    with filled_kafka(console, events) as servers:
        for number in _NUMBERS:  # the broker's Java compiles
            _measure(servers, number, "warm-up", events)
        measured: dict[int, list[Measured]] = {number: [] for number in _NUMBERS}
        for each in range(rounds):
            for number in _NUMBERS:
                measured[number].append(_measure(servers, number, str(each), events))
    cores = len(os.sched_getaffinity(0))
    title = f"{events} records, {PARTITIONS} partitions, {cores} processors, {rounds} rounds"
    table = Table(
        "workers",
        "events/s",
        "× one worker",
        "× (min–max)",
        "CPU µs/event",
        "× one worker",
        title=title,
    )
    for number, runs in measured.items():
        faster = _ratios([run.per_second for run in runs], [run.per_second for run in measured[1]])
        dearer = _ratios([run.cpu_us for run in runs], [run.cpu_us for run in measured[1]])
        table.add_row(
            str(number),
            f"{statistics.median(run.per_second for run in runs):,.0f}",
            f"{statistics.median(faster):.2f}",
            f"{faster[0]:.2f}–{faster[-1]:.2f}",
            f"{statistics.median(run.cpu_us for run in runs):.1f}",
            f"{statistics.median(dearer):.2f}",
        )
    console.print(table)


def _ratios(values: list[float], base: list[float]) -> list[float]:
    """Ratios round by round, sorted."""
    return sorted(value / first for value, first in zip(values, base, strict=True))


def _measure(servers: str, workers: int, name: str, events: int) -> Measured:
    with _running(servers, workers, f"bench-{workers}-{name}") as log:
        deadline = time.monotonic() + _SECONDS
        while sum(line["consumed"] for line in _lines(log)) < events:
            if time.monotonic() > deadline:
                raise TimeoutError(log.read_text()[-2000:])
            time.sleep(_POLL_S)
        lines = _lines(log)
    sharing = [line for line in lines if line.get("workers_reading", 1) == workers]
    busy = [line for line in sharing[1:] if line["consumed"] and line["lag"]]
    done = [line["enriched"] + sum(line["dead_lettered"].values()) for line in busy]
    cpu_us = sum(line["cpu_us_per_event"] * n for line, n in zip(busy, done, strict=True))
    return Measured(sum(done) / sum(line["seconds"] for line in busy), cpu_us / sum(done))


@contextmanager
def _running(servers: str, workers: int, group: str) -> Iterator[Path]:
    """Start the workers as a process; yields its log."""
    flags = ["--bootstrap-servers", servers, "--group", group, "--workers", str(workers)]
    settings = {"TRACK_STATS_INTERVAL_S": "1", "TRACK_CONSUMER_HEARTBEAT_INTERVAL_MS": "300"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "run", "--initial-offset", "earliest", *flags],
                env={**os.environ, **settings},
                stderr=output,
            )
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_SECONDS)


def _lines(log: Path) -> list[dict[str, Any]]:
    whole = log.read_text().rpartition("\n")[0].splitlines()
    parsed = [json.loads(line) for line in whole if line.startswith("{")]
    return [line for line in parsed if line["event"] == "statistics"]
