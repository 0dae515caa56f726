"""Interleaved rounds: each variant runs once per round, so that a slow minute affects all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

Measured = TypeVar("Measured")
"""What one run of a variant gives: a number, or several of them as one tuple."""


class Spread(NamedTuple):
    """Ratios of two variants, compared round by round."""

    median: float
    least: float
    most: float

    @property
    def extent(self) -> str:
        """Smallest and largest, as text."""
        return f"{self.least:.2f}–{self.most:.2f}"


def run_rounds(
    variants: Mapping[str, Callable[[], Measured]], rounds: int
) -> dict[str, list[Measured]]:
    """Run all rounds; returns what each variant gave, one per round."""
    measured: dict[str, list[Measured]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            measured[name].append(variant())
    return measured


def spread(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Compare values with those of the baseline in the same rounds."""
    ratios = [value / first for value, first in zip(values, base, strict=True)]
    return Spread(statistics.median(ratios), min(ratios), max(ratios))


def median_of(runs: Sequence[Any], field: str) -> float:
    """Return the median of one field over all rounds."""
    return float(statistics.median(getattr(run, field) for run in runs))
