"""Dead letters by reason, in memory that does not grow with what other systems call a reason."""

from __future__ import annotations

from collections import Counter
from typing import Final

MOST_REASONS: Final = 1000
OTHER: Final = "(other reasons)"
"""Stands for the reasons that exceed the maximum."""


class ReasonCounts:
    """Counts by text: the first `most` texts that are met, and one count for all others."""

    def __init__(self, most: int = MOST_REASONS) -> None:
        self._counts: Counter[str] = Counter()
        self._most = most

    def add(self, reason: str) -> str:
        """Count a reason, and return what it was counted as: itself or OTHER."""
        is_known = reason in self._counts or len(self._counts) < self._most
        name = reason if is_known else OTHER
        self._counts[name] += 1
        return name

    def total(self) -> int:
        """Sum of all counts."""
        return self._counts.total()

    def most_common(self, number: int | None = None) -> list[tuple[str, int]]:
        """Reasons and their counts, the most frequent first."""
        return self._counts.most_common(number)

    def to_dict(self) -> dict[str, int]:
        """Reason → count."""
        return dict(self._counts)
