"""Measures the core alone: `process()` against decoding and encoding the same bytes.

Each core runs in processes of its own, in turn with the other one.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, Final

from tests.bench.children import COMPILED, PYTHON, cores, run_child, with_core
from tests.bench.event_classes import DEAD_LETTERS, GENERATED, PLAIN
from tests.bench.results import Cell, Column, Goal, Report, Result
from tests.bench.rounds import run_rounds, spread

GOALS: Final = {PYTHON: 1.6, COMPILED: 1.1}
"""`process()` over decode + encode, for good events."""
CLASS_GOAL: Final = 1.5
"""Any class of good events over the plain one: none falls off a cliff."""
_COLUMNS: Final = (
    Column("class of events"),
    Column("bytes", ".0f"),
    Column("baseline, µs", ".2f"),
    Column("process(), µs", ".2f"),
    Column("× baseline", ".2f"),
    Column("min–max"),
    Column("× plain", ".2f"),
)
_COMPARED: Final = Column("× python", ".2f")
_NOTES: Final = (
    "baseline: the same bytes decoded whole and encoded again",
    "dead letters have no goal; the last row flatters, as no worker runs in a warm loop",
)

Figures = dict[str, dict[str, float]]
"""Class of events → what a child has measured."""


def measure_core(report: Report, rounds: int, events: int) -> None:
    """Measure all classes of events on each core that there is."""
    if COMPILED not in cores():
        report.progress("there is no compiled core: only the Python core is measured")
    variants = {
        core: partial(run_child, "core_child", "classes", str(events), environment=with_core(core))
        for core in cores()
    }
    measured: dict[str, list[Figures]] = run_rounds(variants, rounds)
    for core, runs in measured.items():
        title = f"core: {core}, {events:,} events of each class, {rounds} rounds, CPU per event"
        report.add(_result(title, core, runs, measured[PYTHON]))


def _result(title: str, core: str, runs: list[Figures], python: list[Figures]) -> Result:
    is_other = core != PYTHON
    rows = []
    for name in runs[0]:
        row = _row(name, runs)
        if is_other:
            row.append(spread(_of(runs, name, "process"), _of(python, name, "process")).median)
        rows.append(row)
    return Result(
        title,
        (*_COLUMNS, _COMPARED) if is_other else _COLUMNS,
        rows,
        _goals(core, runs),
        _NOTES,
    )


def _row(name: str, runs: list[Figures]) -> list[Cell]:
    alone, whole = _of(runs, name, "baseline"), _of(runs, name, "process")
    ratio = spread(whole, alone)
    return [
        name,
        runs[0][name]["bytes"],
        statistics.median(alone),
        statistics.median(whole),
        ratio.median,
        ratio.extent,
        spread(whole, _of(runs, PLAIN, "process")).median,
    ]


def _goals(core: str, runs: list[Figures]) -> list[Goal]:
    goals = [
        Goal(
            f"process() over decode + encode, {name}, core {core}",
            spread(_of(runs, name, "process"), _of(runs, name, "baseline")).median,
            GOALS[core],
        )
        for name in (PLAIN, GENERATED)
    ]
    good = [name for name in runs[0] if name not in DEAD_LETTERS]
    over_plain = {
        name: spread(_of(runs, name, "process"), _of(runs, PLAIN, "process")).median
        for name in good
    }
    worst = max(over_plain, key=over_plain.__getitem__)
    goals.append(Goal(f"dearest class over the plain one: {worst}", over_plain[worst], CLASS_GOAL))
    return goals


def _of(runs: list[Figures], name: str, figure: str) -> list[Any]:
    return [run[name][figure] for run in runs]
