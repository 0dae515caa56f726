"""Measures the worker on a real Kafka against a bare pass-through loop.

Each variant is a process, or two, that reads the same raw topic in a group of its own. CPU time is
that of all its threads, from its first commit to its last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from types import MappingProxyType
from typing import Final, NamedTuple

from pipeline.demo.generate import Generator
from tests.bench.brokers import PARTITIONS, RawValue, fill, kafka_with_topics
from tests.bench.children import COMPILED, PYTHON, cores
from tests.bench.results import Cell, Column, Goal, Report, Result
from tests.bench.rounds import median_of, run_rounds, spread
from tests.bench.running import Steady, measure

GOALS: Final = {PYTHON: 2.6, COMPILED: 2.0}
"""The worker over the pass-through."""
_TWO_GOAL: Final = 1.05
"""CPU time per event of two processes over one."""
_MEMORY_GOAL_MB: Final = 250
_REPLAY_GOAL: Final = 1.1
_AVRO_GOAL: Final = 1.3
_AS_JSON: Final = "JSON"
_COLUMNS: Final = (
    Column("variant"),
    Column("CPU µs/event", ".2f"),
    Column("× baseline", ".2f"),
    Column("min–max"),
    Column("events/s", ",.0f"),
    Column("peak RSS, MB", ".0f"),
)
_PASSTHROUGH: Final = "pass-through, transactions"
_WORKER: Final = "worker"
_DIFFERENT: Final = 50_000
"""Different events; a longer topic repeats them."""

Runs = dict[str, list[Steady]]


class Variant(NamedTuple):
    """What is run: a child's variant, the core, the number of processes, and settings."""

    name: str
    core: str = PYTHON
    processes: int = 1
    flags: Mapping[str, str] = MappingProxyType({})


def measure_kafka(report: Report, rounds: int, events: int) -> None:
    """Measure the worker end to end."""
    variants = {_PASSTHROUGH: Variant("passthrough")}
    for core in cores():
        variants |= {
            _named(core): Variant("worker", core),
            _named(core, "two processes"): Variant("worker", core, 2),
            _named(core, "scraped every second"): Variant("measured-worker", core),
        }
    runs = _run(report, variants, rounds, events)
    title = f"end to end, {events:,} records, {PARTITIONS} partitions, {rounds} rounds"
    notes = ("memory of two processes is that of the larger one",)
    report.add(_result(title, runs, [*_goals(runs)], notes))


def measure_replay(report: Report, rounds: int, events: int) -> None:
    """Measure a replay against the worker on the same records."""
    variants = {
        _WORKER: Variant("worker"),
        "replay": Variant("replay"),
        "replay --dry-run": Variant("dry-run"),
    }
    runs = _run(report, variants, rounds, events)
    title = f"replay, {events:,} records, {PARTITIONS} partitions, {rounds} rounds"
    goals = [
        Goal("replay over the worker", _over(runs, "replay", _WORKER), _REPLAY_GOAL),
        Goal("dry run over the worker", _over(runs, "replay --dry-run", _WORKER), 1.0),
    ]
    report.add(_result(title, runs, goals))


def measure_formats(report: Report, rounds: int, events: int, registry: str | None) -> None:
    """Measure the worker with outputs in Avro against JSON; `registry` is the URL of one."""
    forms = {"Avro, single-object": {"output.format": "avro", "output.framing": "single-object"}}
    if registry is not None:
        forms["Avro, prefix"] = {
            "output.format": "avro",
            "output.framing": "prefix",
            "schema_registry.url": registry,
            "schema_registry.auto_register": "true",
        }
    variants = {}
    for core in cores():
        variants[_named(core, _AS_JSON)] = Variant("worker", core)
        for form, flags in forms.items():
            variants[_named(core, form)] = Variant("worker", core, flags=flags)
    runs = _run(report, variants, rounds, events)
    title = f"output formats, {events:,} records, {PARTITIONS} partitions, {rounds} rounds"
    goals = [
        Goal(
            f"{_named(core, form)} over JSON",
            _over(runs, _named(core, form), _named(core, _AS_JSON)),
            _AVRO_GOAL,
        )
        for core in cores()
        for form in forms
    ]
    report.add(_result(title, runs, goals))


def raw_values(events: int, generator: Generator | None = None) -> Iterator[RawValue]:
    """Yield so many raw values, which repeat after a while."""
    different = list(
        islice(generator or Generator(7, invalid_share=0.02, batch_share=0), _DIFFERENT)
    )
    for number in range(events):
        each = different[number % _DIFFERENT]
        yield RawValue(each.value, each.key)


def _named(core: str, what: str = "") -> str:
    parts = [_WORKER, core, what] if core != PYTHON else [_WORKER, what]
    return ", ".join(part for part in parts if part)


@contextmanager
def _filled_kafka(report: Report, events: int) -> Iterator[str]:
    """Start a broker and fill the raw topic; yields the bootstrap servers."""
    with kafka_with_topics(report) as settings:
        report.progress(f"wrote {fill(settings, raw_values(events)):,} raw records")
        yield str(settings.kafka["bootstrap.servers"])


def _run(report: Report, variants: dict[str, Variant], rounds: int, events: int) -> Runs:
    with _filled_kafka(report, events) as servers:
        numbers = count()

        def runner(variant: Variant) -> Callable[[], Steady]:
            def run() -> Steady:
                group = f"bench-{variant.name}-{next(numbers)}"
                flags = {"kafka.bootstrap.servers": servers, "group": group, **variant.flags}
                return measure(
                    variant.name, flags, events, processes=variant.processes, core=variant.core
                )[0]

            return run

        runners = {name: runner(variant) for name, variant in variants.items()}
        run_rounds(runners, 1)  # the broker's Java compiles, and the page cache fills
        return run_rounds(runners, rounds)


def _result(title: str, runs: Runs, goals: list[Goal], notes: tuple[str, ...] = ()) -> Result:
    base = [run.cpu_us for run in next(iter(runs.values()))]
    rows: list[list[Cell]] = []
    for name, each in runs.items():
        ratio = spread([run.cpu_us for run in each], base)
        rows.append(
            [
                name,
                median_of(each, "cpu_us"),
                ratio.median,
                ratio.extent,
                median_of(each, "per_second"),
                max(run.peak_mb for run in each),
            ]
        )
    return Result(title, _COLUMNS, rows, goals, notes)


def _goals(runs: Runs) -> Iterator[Goal]:
    for core in cores():
        one, two = _named(core), _named(core, "two processes")
        yield Goal(f"{one} over the pass-through", _over(runs, one, _PASSTHROUGH), GOALS[core])
        yield Goal(f"{two} over one", _over(runs, two, one), _TWO_GOAL)
        peak = max(run.peak_mb for run in runs[one])
        yield Goal(f"{one}, peak memory", peak, _MEMORY_GOAL_MB, ".0f", " MB")


def _over(runs: Runs, name: str, base: str) -> float:
    return spread([run.cpu_us for run in runs[name]], [run.cpu_us for run in runs[base]]).median
