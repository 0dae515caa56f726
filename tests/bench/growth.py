"""Measures how the cost grows: with bytes, partitions, records and items of a batch call.

Nothing may grow faster than its size: twice as many bytes, twice the CPU time at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, islice, pairwise
from typing import Final, NamedTuple

from tests.bench.brokers import (
    PARTITIONS,
    RawValue,
    bench_settings,
    broker,
    create_topics,
    fill,
    topic_flags,
)
from tests.bench.children import cores, run_child, with_core
from tests.bench.event_classes import batches_of, plain_events
from tests.bench.event_sizes import SIZES, events_of
from tests.bench.kafka import raw_values
from tests.bench.results import Cell, Column, Goal, Report, Result
from tests.bench.rounds import median_of, run_rounds
from tests.bench.running import Sample, Steady, measure

_TOLERANCE: Final = 1.1
"""Differences up to a tenth are noise."""
_NUMBERS_OF_PARTITIONS: Final = (1, PARTITIONS, 64)
_ITEMS: Final = (1, 10, 100)
_COUNTS: Final = (10_000, 100_000, 1_000_000, 5_000_000)
_EVENTS: Final = 100_000
"""Events of all dimensions but the number of records."""
_DIFFERENT: Final = 20_000
"""Different events among the items of batch calls."""
_BYTES: Final = 200_000_000
"""Bytes of all events of one size together."""
_TRANSACTION: Final = 5000
"""Events of a transaction, by default its records."""
_COLUMNS: Final = (
    Column("what grows"),
    Column("size", ",.0f"),
    Column("CPU µs/event", ".2f"),
    Column("size ×", ".1f"),
    Column("cost ×", ".2f"),
    Column("faster than its size?"),
    Column("RSS, MB", ".0f"),
)


class Step(NamedTuple):
    """One size of a dimension."""

    size: float
    cpu_us: float
    """Per event."""
    cost: float
    """What must not grow faster than the size."""
    rss_mb: float | None = None


def measure_growth(report: Report, rounds: int, events: int) -> None:
    """Measure all dimensions; the number of records, which takes longest, in one round."""
    core, most = cores()[-1], min(events, _EVENTS)
    dimensions = {"bytes of an event, process()": _sizes_in_core(core, rounds, most)}
    with broker(report) as servers:
        topics = _Topics(servers, core, report)
        dimensions |= _on_kafka(topics, rounds, most)
        dimensions["records in the topic, worker"] = _counts(topics, events)
    rows = [row for name, steps in dimensions.items() for row in rows_of(name, steps)]
    title = f"growth, core: {core}, {rounds} rounds (records: one)"
    faster = sum(is_faster(steps) for steps in dimensions.values())
    goals = [Goal("what grows faster than its size", faster, 0, ".0f", "")]
    report.add(Result(title, _COLUMNS, rows, goals))


def rows_of(name: str, steps: Sequence[Step]) -> Iterator[list[Cell]]:
    """Yield rows that compare each step with the one before."""
    for number, step in enumerate(steps):
        before = steps[number - 1] if number else None
        yield [
            name,
            step.size,
            step.cpu_us,
            step.size / before.size if before else None,
            step.cost / before.cost if before else None,
            None if before is None else "YES" if _outgrows(before, step) else "no",
            step.rss_mb,
        ]


def is_faster(steps: Sequence[Step]) -> bool:
    """Whether the cost of any step has grown by more than its size."""
    return any(_outgrows(before, step) for before, step in pairwise(steps))


def _outgrows(before: Step, step: Step) -> bool:
    return step.cost / before.cost > _TOLERANCE * step.size / before.size


def _sizes_in_core(core: str, rounds: int, most: int) -> list[Step]:
    variant = partial(run_child, "core_child", "sizes", str(most), environment=with_core(core))
    (runs,) = run_rounds({core: variant}, rounds).values()
    steps = []
    for name in runs[0]:
        cpu_us = sorted(run[name]["process"] for run in runs)[len(runs) // 2]
        steps.append(Step(runs[0][name]["bytes"], cpu_us, cpu_us))
    return steps


class _Topics:
    """Makes topics of their own for each size, and runs a worker on them."""

    def __init__(self, servers: str, core: str, report: Report) -> None:
        self._servers = servers
        self._core = core
        self._report = report
        self._numbers = count()

    def filled(self, name: str, partitions: int, values: Iterator[RawValue]) -> dict[str, str]:
        """Create and fill the topics; returns the settings that lead to them."""
        flags = topic_flags(name)
        settings = bench_settings(self._servers, flags)
        create_topics(settings, partitions)
        self._report.progress(f"wrote {fill(settings, values):,} raw records: {name}")
        return {**flags, "kafka.bootstrap.servers": self._servers}

    def run(self, flags: Mapping[str, str], records: int) -> tuple[Steady, list[Sample]]:
        """Run a worker in a group of its own over all records."""
        group = f"growth-{next(self._numbers)}"
        return measure("worker", {**flags, "group": group}, records, core=self._core)


class _Case(NamedTuple):
    """One size of a dimension on Kafka: how to fill the topic, and what its cost is."""

    size: int
    partitions: int
    values: Callable[[], Iterator[RawValue]]
    records: int
    events_per_record: int = 1

    def transaction(self) -> int:
        """Return the records of a transaction: as many events whatever the size, and several."""
        events = self.records * self.events_per_record
        return max(1, min(_TRANSACTION, events // 10) // self.events_per_record)


def _on_kafka(topics: _Topics, rounds: int, most: int) -> dict[str, list[Step]]:
    cases: dict[str, list[_Case]] = {
        "bytes of an event, worker": [
            _Case(size, PARTITIONS, partial(_sized, size, number), number)
            for size in SIZES
            for number in (min(most, _BYTES // size),)
        ],
        "partitions, worker": [
            _Case(number, number, partial(raw_values, most), most)
            for number in _NUMBERS_OF_PARTITIONS
        ],
        "items of a batch call, worker": [
            _Case(items, PARTITIONS, partial(_batches, items, most), most // items, items)
            for items in _ITEMS
        ],
    }
    runners: dict[str, Callable[[], Steady]] = {}
    for name, those in cases.items():
        for case in those:
            prefix = f"{name.split()[0].strip(',')}-{case.size}"
            flags = topics.filled(prefix, case.partitions, case.values())
            flags["batch.max_records"] = str(case.transaction())
            runners[f"{name} {case.size}"] = partial(_steady, topics, flags, case.records)
    runs = run_rounds(runners, rounds)
    return {
        name: [_step(case, runs[f"{name} {case.size}"]) for case in those]
        for name, those in cases.items()
    }


def _steady(topics: _Topics, flags: Mapping[str, str], records: int) -> Steady:
    return topics.run(flags, records)[0]


def _step(case: _Case, runs: Sequence[Steady]) -> Step:
    """The cost of a batch call is that of the record, all others are per event."""
    per_record = median_of(runs, "cpu_us")
    peak_mb = max(run.peak_mb for run in runs)
    return Step(case.size, per_record / case.events_per_record, per_record, peak_mb)


def _sized(size: int, number: int) -> Iterator[RawValue]:
    """Yield records of this size; few of them differ, since they are many bytes."""
    different = list(events_of(size, min(number, 2000)))
    for each in range(number):
        yield RawValue(different[each % len(different)], str(each).encode())


def _batches(items: int, events: int) -> Iterator[RawValue]:
    """Yield envelopes, also of a single item: an event alone takes another way."""
    values = list(islice(plain_events(), min(events, _DIFFERENT)))
    different = batches_of(values, items).records
    for number in range(events // items):
        yield RawValue(different[number % len(different)].value, str(number).encode())


def _counts(topics: _Topics, events: int) -> list[Step]:
    """Run once over the longest topic, and look at it after each number of records."""
    flags = topics.filled("records", PARTITIONS, raw_values(events))
    samples = topics.run(flags, events)[1]
    return steps_of(samples, [*(each for each in _COUNTS if each < events), events])


def steps_of(samples: Sequence[Sample], counts: Sequence[int]) -> list[Step]:
    """Return the cost of the records from the first commit up to each number."""
    first, steps = samples[0], []
    for number in counts:
        reached = next((each for each in samples if each.records >= number), samples[-1])
        records, cpu_s = reached.records - first.records, reached.cpu_s - first.cpu_s
        if records:
            steps.append(Step(records, cpu_s / records * 1e6, cpu_s, reached.rss_mb))
    return steps
