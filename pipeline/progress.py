"""Progress of long work, which is handed to the caller and printed nowhere below `cli`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.core.record import Record
from pipeline.ports import Ranges


class Progress(NamedTuple):
    """Progress of one step of the work."""

    what: str
    """Name of the step, such as `reading the outputs`."""
    done: int
    total: int
    unit: str = "offsets"


OnProgress = Callable[[Progress], None]
"""A callback that shows progress."""


class Gauge:
    """Measures progress in offsets, which may have gaps, and reports it now and then."""

    _EVERY = 2000

    def __init__(self, what: str, ranges: Ranges, on_progress: OnProgress | None) -> None:
        self._what = what
        self._on_progress = on_progress
        self._next = {place: first for place, (first, _) in ranges.items()}
        self._done = self._reported = 0
        self._total = sum(max(0, end - first) for first, end in ranges.values())

    def passed(self, record: Record) -> None:
        """Count a record that was read."""
        place = record.topic, record.partition
        self._done += record.offset + 1 - self._next[place]
        self._next[place] = record.offset + 1
        if self._done - self._reported >= self._EVERY:
            self._report()

    def passing(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, each counted when it is read."""
        for record in records:
            self.passed(record)
            yield record

    def finished(self) -> None:
        """Count the remaining offsets, which have no records, as done."""
        self._done = self._total
        self._report()

    def _report(self) -> None:
        self._reported = self._done
        if self._on_progress is not None:
            self._on_progress(Progress(self._what, self._done, self._total))
