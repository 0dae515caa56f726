"""The newest letters, looked for from the ends on: no large topic is read for three of them."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import replace
from operator import itemgetter
from typing import Final

from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.filters import Selection
from pipeline.dlq.ledger import Action
from pipeline.dlq.reader import Desk
from pipeline.progress import OnProgress

_SPAN: Final = 1000
"""Offsets of each partition that are read first."""
_GROWTH: Final = 10


def newest(
    desk: Desk,
    selection: Selection,
    count: int,
    *,
    done_too: bool = False,
    on_progress: OnProgress | None = None,
) -> list[DeadLetter]:
    """So many letters that are meant, by the time of their failure, the newest last.

    The letters of a partition are in the order of their failures, so that its last ones are enough.
    Raises TransportError when Kafka fails.
    """
    best: list[tuple[tuple[int, int, int], DeadLetter]] = []
    seen: Counter[int] = Counter()
    left_out: Counter[Action] = Counter()
    span, ends = max(_SPAN, count), _bounds(desk, selection)
    while ends:
        pieces = {number: (max(first, end - span), end) for number, (first, end) in ends.items()}
        piece = replace(selection, offsets=pieces, limit=None)
        for letter in desk.letters(piece, done_too=done_too, on_progress=on_progress):
            seen[letter.partition] += 1
            age = letter.failed_at, letter.partition, letter.offset
            heapq.heappush(best, (age, letter))
            if len(best) > count:
                heapq.heappop(best)
        left_out.update(desk.done)
        ends = {
            number: (first, pieces[number][0])
            for number, (first, _) in ends.items()
            if first < pieces[number][0] and seen[number] < count
        }
        span *= _GROWTH
    desk.done.clear()
    desk.done.update(left_out)
    return [letter for _, letter in sorted(best, key=itemgetter(0))]


def _bounds(desk: Desk, selection: Selection) -> dict[int, tuple[int, int]]:
    """What a selection means of each partition: first offset, and the one after the last."""
    bounds = {}
    for number, (begin, end) in desk.captured.extents.items():
        first, last = selection.offsets.get(number, (begin, end))
        if number in selection.offsets or not selection.offsets:
            bounds[number] = max(begin, first), min(end, last)
    return {number: each for number, each in bounds.items() if each[0] < each[1]}
