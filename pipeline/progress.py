"""How far long work is, in offsets, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.core.record import Record
from pipeline.ports import Ranges


class Progress(NamedTuple):
    """How far one part of the work is."""

    what: str
    done: int
    total: int
    unit: str = "offsets"


OnProgress = Callable[[Progress], None]


class Gauge:
    """Tells progress in offsets, which may have gaps."""

    _EVERY = 2000

    def __init__(self, what: str, ranges: Ranges, on_progress: OnProgress | None) -> None:
        self._what = what
        self._tell = on_progress
        self._next = {place: first for place, (first, _) in ranges.items()}
        self._done = self._told = 0
        self._total = sum(max(0, end - first) for first, end in ranges.values())

    def passed(self, record: Record) -> None:
        """A record was read."""
        place = record.topic, record.partition
        self._done += record.offset + 1 - self._next[place]
        self._next[place] = record.offset + 1
        if self._done - self._told >= self._EVERY:
            self._say()

    def passing(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, each counted as it is read."""
        for record in records:
            self.passed(record)
            yield record

    def finished(self) -> None:
        """Everything was read; what is left are offsets without a record."""
        self._done = self._total
        self._say()

    def _say(self) -> None:
        self._told = self._done
        if self._tell is not None:
            self._tell(Progress(self._what, self._done, self._total))
