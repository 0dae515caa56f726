"""Counts over time in bounded memory, and bar charts of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MOST_BUCKETS: Final = 256
_FIRST_WIDTH: Final = 1000
_BARS: Final = "▁▂▃▄▅▆▇█"
_NONE: Final = "·"

Counts = dict[int, int]
"""Number of a bucket → count."""


class Timeline:
    """Buckets of time that several series share.

    Buckets become twice as wide when there would be too many, so the span of time need not be known
    before everything is read.
    """

    def __init__(self) -> None:
        self.width = _FIRST_WIDTH
        """Width of a bucket in milliseconds."""
        self._series: list[Counts] = []
        self._low = self._high = 0

    def series(self) -> Counts:
        """Make a new, empty series."""
        made: Counts = {}
        self._series.append(made)
        return made

    def add(self, series: Counts, time: int) -> None:
        """Count a moment in one of the series; `time` is in epoch milliseconds and above 0."""
        bucket = time // self.width
        if not self._low <= bucket <= self._high:
            bucket = self._reach(time)
        series[bucket] = series.get(bucket, 0) + 1

    def _reach(self, time: int) -> int:
        """Make room for a moment, and return the number of its bucket."""
        bucket = time // self.width
        if not self._high:
            self._low = self._high = bucket
        self._low, self._high = min(self._low, bucket), max(self._high, bucket)
        while self._high - self._low >= _MOST_BUCKETS:
            self._widen()
        return time // self.width

    def _widen(self) -> None:
        self.width *= 2
        self._low, self._high = self._low // 2, self._high // 2
        for series in self._series:
            narrow = dict(series)
            series.clear()
            for bucket, count in narrow.items():
                series[bucket // 2] = series.get(bucket // 2, 0) + count

    def columns(self, series: Mapping[int, int], most: int) -> list[int]:
        """Counts in at most `most` columns of equal width over the whole time."""
        if not self._high:
            return []
        per_column = self._per_column(most)
        counts = [0] * ((self._high - self._low) // per_column + 1)
        for bucket, count in series.items():
            counts[(bucket - self._low) // per_column] += count
        return counts

    def column_width(self, most: int) -> int:
        """Width of one of these columns in milliseconds."""
        return self._per_column(most) * self.width

    def start(self) -> int:
        """Start of the first column in epoch milliseconds; 0 when nothing was counted."""
        return self._low * self.width

    def _per_column(self, most: int) -> int:
        """Number of buckets in a column."""
        return -(-(self._high - self._low + 1) // most)


def bar_chart(counts: list[int]) -> str:
    """One character for each count: a full bar for the largest, a dot for zero."""
    most = max(counts, default=0)
    # Rounded up, so that one of a million is visible, too.
    return "".join(
        _BARS[-(-count * len(_BARS) // most) - 1] if count else _NONE for count in counts
    )
