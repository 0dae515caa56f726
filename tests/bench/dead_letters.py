"""Measures `dlq summary` against a bare consumer that reads the same topic.

Each reader is a process of its own, and its start is part of the time, as it is for a user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from typing import Final, NamedTuple

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role
from pipeline.demo.generate import Generator
from pipeline.kafka import Publisher
from pipeline.wiring import WallClock
from tests.bench.brokers import PARTITIONS, kafka_with_topics
from tests.bench.children import run_child
from tests.bench.dead_letter_readers import TOPIC
from tests.bench.results import Cell, Column, Report, Result
from tests.bench.rounds import median_of, run_rounds, spread

_DIFFERENT: Final = 20_000
_LARGEST: Final = 20_000
"""Largest dead letter in bytes; events that are invalid for their size would fill the topic."""
_BASELINE: Final = "bare consumer, headers and values"
_READERS: Final = {
    _BASELINE: ("headers",),
    "bare consumer, counts only": ("bare",),
    "dlq summary": ("summary",),
    "dlq summary --by detail --by library": ("summary", "--by", "detail", "--by", "library"),
    "dlq summary, a tenth of the topic": ("summary", "--limit"),
}

_COLUMNS: Final = (
    Column("reader"),
    Column("dead letters/s", ",.0f"),
    Column("× baseline", ".2f"),
    Column("min–max"),
    Column("peak RSS, MB", ".0f"),
)
_TARGET: Final = "target: dlq summary ≥ 0.4×, and no more memory than for a tenth of the topic"


class ReaderFigures(NamedTuple):
    """Figures of one run."""

    per_second: float
    peak_mb: float


def measure_dead_letters(report: Report, rounds: int, dead_letters: int) -> None:
    """Measure all readers."""
    with _filled_kafka(report, dead_letters) as servers:
        readers: dict[str, Callable[[], ReaderFigures]] = {}
        for name, reader in _READERS.items():
            more = (str(dead_letters // 10),) if reader[-1] == "--limit" else ()
            readers[name] = partial(_measure, servers, (*reader, *more))
        readers[_BASELINE]()  # the broker's Java compiles, and the page cache fills
        runs = run_rounds(readers, rounds)
    base = [run.per_second for run in runs[_BASELINE]]
    rows: list[list[Cell]] = []
    for name, each in runs.items():
        ratio = spread([run.per_second for run in each], base)
        peak_mb = max(run.peak_mb for run in each)
        per_second = median_of(each, "per_second")
        rows.append([name, per_second, ratio.median, ratio.extent, peak_mb])
    title = f"{dead_letters:,} dead letters, {PARTITIONS} partitions, {rounds} rounds"
    report.add(Result(title, _COLUMNS, rows, (), (_TARGET,)))


@contextmanager
def _filled_kafka(report: Report, dead_letters: int) -> Iterator[str]:
    """Start a broker with dead letters of all kinds; yields the bootstrap servers."""
    with kafka_with_topics(report) as settings:
        with Publisher(settings.kafka) as publisher:
            for each in islice(cycle(_dead_letters()), dead_letters):
                publisher.send(TOPIC, each.value, each.key, each.timestamp, each.headers)
        report.progress(f"wrote {dead_letters:,} dead letters")
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


def _measure(servers: str, reader: tuple[str, ...]) -> ReaderFigures:
    name, *flags = reader
    printed = run_child("dead_letter_readers", name, servers, *flags)
    return ReaderFigures(printed["dead_letters"] / printed["seconds"], printed["peak_mb"])
