"""Measures `dlq summary` against a bare consumer that reads the same topic.

Each reader is a process of its own, and its start is part of the time, as it is for a user.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role
from pipeline.demo.generate import Generator
from pipeline.kafka import Publisher
from pipeline.wiring import WallClock
from tests.bench.brokers import PARTITIONS, kafka_with_topics
from tests.bench.dead_letter_readers import TOPIC

_SECONDS: Final = 600
_DIFFERENT: Final = 20_000
_LARGEST: Final = 20_000
"""Largest dead letter in bytes; events that are invalid for their size would fill the topic."""
_READERS: Final = {
    "bare consumer, headers and values": ("headers",),
    "bare consumer, counts only": ("bare",),
    "dlq summary": ("summary",),
    "dlq summary --by detail --by library": ("summary", "--by", "detail", "--by", "library"),
    "dlq summary, a tenth of the topic": ("summary", "--limit"),
}


class Measured(NamedTuple):
    """Figures of one run."""

    per_second: float
    peak_mb: float


def measure_dead_letters(console: Console, rounds: int, dead_letters: int) -> None:
    """Measure all readers and print a table."""
    with _filled_kafka(console, dead_letters) as servers:
        measured: dict[str, list[Measured]] = {name: [] for name in _READERS}
        _measure(servers, ("headers",))  # the broker's Java compiles, and the page cache fills
        for _ in range(rounds):
            for name, reader in _READERS.items():
                more = (str(dead_letters // 10),) if reader[-1] == "--limit" else ()
                measured[name].append(_measure(servers, (*reader, *more)))
    title = f"{dead_letters} dead letters, {PARTITIONS} partitions, {rounds} rounds"
    table = Table(
        "reader", "dead letters/s", "× baseline (median)", "× (min–max)", "peak MB", title=title
    )
    base = next(iter(measured.values()))
    for name, runs in measured.items():
        pairs = zip(runs, base, strict=True)
        ratios = sorted(run.per_second / first.per_second for run, first in pairs)
        table.add_row(
            name,
            f"{statistics.median(run.per_second for run in runs):,.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
            f"{max(run.peak_mb for run in runs):.0f}",
        )
    console.print(table)
    console.print("target: dlq summary ≥ 0.4×, and no more memory than for a tenth of the topic")


@contextmanager
def _filled_kafka(console: Console, dead_letters: int) -> Iterator[str]:
    """Start a broker with dead letters of all kinds; yields the bootstrap servers."""
    with kafka_with_topics(console) as settings:
        with Publisher(settings.kafka) as publisher:
            for each in islice(cycle(_dead_letters()), dead_letters):
                publisher.send(TOPIC, each.value, each.key, each.timestamp, each.headers)
        console.print(f"· wrote {dead_letters} dead letters")
        yield str(settings.kafka["bootstrap.servers"])


def _dead_letters() -> list[Output]:
    """Dead letters as the worker writes them, for invalid events of every kind."""
    processor = Processor(ContractSettings(), Identity(app="bench", group="bench"))
    now, made = WallClock().now(), list[Output]()
    for number, each in enumerate(islice(Generator(7, invalid_share=1), _DIFFERENT)):
        record = Record(each.value, each.key, (), now, "track.raw", number % PARTITIONS, number)
        made += processor.process(record, now + number)
    return [
        output
        for output in made
        if output.role is Role.DEAD_LETTER and len(output.value or b"") <= _LARGEST
    ]


def _measure(servers: str, reader: tuple[str, ...]) -> Measured:
    name, *flags = reader
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.dead_letter_readers", name, servers, *flags],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    printed = json.loads(done.stdout.splitlines()[-1])
    return Measured(printed["dead_letters"] / printed["seconds"], printed["peak_mb"])
