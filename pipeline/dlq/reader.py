"""A dead-letter topic, read as it was at one moment, without touching anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.filters import EVERYTHING, Selection
from pipeline.dlq.header_formats import read_letter
from pipeline.dlq.ledger import Action, Ledger
from pipeline.ports import Ranges, Reader
from pipeline.progress import Gauge, OnProgress

Extents = Mapping[int, tuple[int, int]]
"""Partition → first offset and the one after the last."""
_TELL_EVERY: Final = 100


class Captured(NamedTuple):
    """What there was when the desk was opened."""

    topic: str
    topic_id: str
    extents: Extents
    starts: Mapping[int, int]
    """Partition → the first offset that a selection by time of failure can mean."""

    def ranges(self, selection: Selection) -> Ranges:
        """What is read for a selection."""
        ranges = {}
        for number, (begin, end) in self.extents.items():
            if selection.offsets and number not in selection.offsets:
                continue
            first, last = selection.offsets.get(number, (begin, end))
            first = max(begin, first, self.starts.get(number, begin))
            ranges[self.topic, number] = (first, max(first, min(end, last)))
        return ranges

    def part(self, selection: Selection, begin: float, end: float) -> Captured:
        """A share of what is read of each partition, such as 0.5 to 1: its second half."""

        def cut(first: int, last: int, share: float) -> int:
            return first + round((last - first) * share)

        ranges = self.ranges(selection).items()
        extents = {
            number: (cut(*extent, begin), cut(*extent, end)) for (_, number), extent in ranges
        }
        return self._replace(extents=extents, starts={})


class Desk:
    """Gives the letters that a selection means.

    Letters with which something was done are left out, and counted, unless they are asked for.
    """

    def __init__(self, reader: Reader, captured: Captured, ledger: Ledger) -> None:
        self.captured = captured
        self.ledger = ledger
        self.done: Counter[Action] = Counter()
        """Letters that were left out since something was done with them."""
        self._reader = reader

    def letters(
        self,
        selection: Selection = EVERYTHING,
        *,
        done_too: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Iterator[DeadLetter]:
        """The letters, each partition in order; TransportError when Kafka fails."""
        self.done.clear()
        left = selection.limit
        ranges = self.captured.ranges(selection)
        gauge = Gauge("reading letters", ranges, on_progress)
        narrows, action_of = selection.narrows, self.ledger.action
        done_too = done_too or self.ledger.is_empty
        for number, record in enumerate(self._reader.read(ranges)):
            if number % _TELL_EVERY == 0:
                gauge.passed(record)
            letter = read_letter(record)
            if narrows and not selection.holds(letter):
                continue
            if not done_too:
                action = action_of(record.partition, record.offset)
                if action is not None:
                    self.done[action] += 1
                    continue
            yield letter
            if left is not None:
                left -= 1
                if left == 0:
                    return
        gauge.finished()
