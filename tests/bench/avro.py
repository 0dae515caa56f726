"""Measures Avro against JSON: encoders of an enriched event, `process()`, the worker on Kafka."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Final

from tests.bench.avro_child import JSON, OURS, TO_AVRO, TO_JSON, Figures
from tests.bench.children import cores, run_child, with_core
from tests.bench.kafka import measure_formats
from tests.bench.results import Column, Report, Result
from tests.bench.rounds import run_rounds, spread
from tests.registries import LocalRegistry, NoRegistryError

_COLUMNS: Final = (
    Column("what"),
    Column("bytes", ".0f"),
    Column("CPU µs/event", ".2f"),
    Column("× JSON", ".2f"),
    Column("min–max"),
    Column("× generated encoder", ".2f"),
)
_NOTES: Final = (
    "encoders take events that were made long before, so fewer are in the processor's caches",
    "fastavro and the client's serializer are handed a dict that is ready",
)


def measure_avro(report: Report, rounds: int, events: int) -> None:
    """Measure the encoders on each core that there is, then the worker."""
    _measure_encoders(report, rounds, events // 10)
    with ExitStack() as stack:
        try:
            registry = stack.enter_context(LocalRegistry()).url
        except NoRegistryError as error:
            report.progress(f"prefixes are not measured: {error}")
            registry = None
        measure_formats(report, rounds, events, registry)


def _measure_encoders(report: Report, rounds: int, events: int) -> None:
    variants = {
        core: partial(run_child, "avro_child", str(events), environment=with_core(core))
        for core in cores()
    }
    measured: dict[str, list[Figures]] = run_rounds(variants, rounds)
    for core, runs in measured.items():
        title = f"Avro: core {core}, {events:,} generated events, {rounds} rounds"
        report.add(Result(title, _COLUMNS, [_row(name, runs) for name in runs[0]], (), _NOTES))


def _row(name: str, runs: list[Figures]) -> list[str | float | None]:
    is_process = name in {TO_JSON, TO_AVRO}
    over_json = spread(_us(runs, name), _us(runs, TO_JSON if is_process else JSON))
    over_ours = None if is_process else spread(_us(runs, name), _us(runs, OURS)).median
    middle = sorted(_us(runs, name))[len(runs) // 2]
    return [name, runs[0][name]["bytes"], middle, over_json.median, over_json.extent, over_ours]


def _us(runs: list[Figures], name: str) -> list[float]:
    return [run[name]["us"] for run in runs]
