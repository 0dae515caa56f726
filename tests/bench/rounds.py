"""Interleaved rounds: each contestant once per round, so that a slow minute hits all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

Contestant = Callable[[], float]
"""Runs once; CPU microseconds per event."""


def run_rounds(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """The figures of every round, by contestant."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            figures[name].append(contestant())
    return figures


def show(console: Console, title: str, figures: Mapping[str, list[float]], goal: str) -> None:
    """A table; the first contestant is what the others are held against, round by round."""
    base = next(iter(figures.values()))
    table = Table("contestant", "CPU µs/event", "× (median of rounds)", "min–max ×", title=title)
    for name, values in figures.items():
        ratios = sorted(value / first for value, first in zip(values, base, strict=True))
        table.add_row(
            name,
            f"{statistics.median(values):.2f}",
            f"{statistics.median(ratios):.2f}",
            f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
        )
    console.print(table)
    console.print(goal)
