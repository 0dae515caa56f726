"""Interleaved rounds: each variant runs once per round, so that a slow minute affects all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

Variant = Callable[[], float]
"""Runs once and returns CPU microseconds per event."""


def run_rounds(variants: Mapping[str, Variant], rounds: int) -> dict[str, list[float]]:
    """Run all rounds; returns the figures of each variant, one per round."""
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            figures[name].append(variant())
    return figures


def show(console: Console, title: str, figures: Mapping[str, list[float]], target: str) -> None:
    """Print a table; the first variant is the baseline of the others, round by round."""
    base = next(iter(figures.values()))
    table = Table("variant", "CPU µs/event", "× baseline (median)", "× (min–max)", title=title)
    for name, values in figures.items():
        ratios = sorted(value / first for value, first in zip(values, base, strict=True))
        table.add_row(
            name,
            f"{statistics.median(values):.2f}",
            f"{statistics.median(ratios):.2f}",
            f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
        )
    console.print(table)
    console.print(target)
