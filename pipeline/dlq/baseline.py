"""The baseline: good events that dead letters are compared with.

It is a bounded part of the enriched topic, so its size does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

from pipeline.core.record import Record
from pipeline.core.time_window import Window
from pipeline.core.timestamps import MINUTE
from pipeline.dlq.contrast import GroupSample, Observation
from pipeline.dlq.features import EVENT, LIBRARY, LIBRARY_VERSION, LONGEST, Feature, of_enriched
from pipeline.dlq.filters import Selection
from pipeline.ports import Ranges, Reader
from pipeline.progress import OnProgress, Progress

MOST_BASELINE: Final = 10_000
SLICES: Final = 8
"""Number of slices of each partition that events are taken from when there are too many."""
MARGIN: Final = 5 * MINUTE
"""Milliseconds on both sides of the dead letters' time, since a few may share one moment."""
_REPORT_EVERY: Final = 500

Extents = Mapping[int, tuple[int, int]]
"""Partition → first offset, and the offset after the last."""


class Offsets(Protocol):
    """Questions about a topic; `kafka.Admin` answers them."""

    def extents(self, topic: str, *, stable: bool) -> dict[int, tuple[int, int]]:
        """Partition → first offset, and the offset after the last.

        With `stable` they end before the first open transaction.
        """

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """Partition → first offset with this timestamp or a later one, where there is one."""


class BaselineKind(StrEnum):
    """Origin of the good events in the baseline."""

    SAME_TIME = "same time"
    EARLIER = "earlier"
    """There are none of the same time, so these are the ones right before it."""
    NONE = "none"


def around(first: int, last: int) -> Window:
    """Time of the dead letters with a margin; timestamps are in epoch milliseconds."""
    return Window(first - MARGIN, last + MARGIN + 1)


def like(selection: Selection) -> Callable[[Collection[Feature]], bool]:
    """Make a test for events that have the names and libraries of a selection.

    What all dead letters have because they were selected by it would be no finding.
    """
    events = {Feature(EVENT, name[:LONGEST]) for name in selection.events}
    # `a/b` is the version b of a, or the library a/b.
    names = selection.libraries
    libraries = {Feature(LIBRARY, name) for name in names}
    libraries |= {Feature(LIBRARY_VERSION, *name.rsplit("/", 1)) for name in names if "/" in name}

    def is_like(features: Collection[Feature]) -> bool:
        return all(not wanted or not wanted.isdisjoint(features) for wanted in (events, libraries))

    return is_like


class Baseline:
    """Reads good events from the enriched topic; its method may raise TransportError."""

    def __init__(self, offsets: Offsets, reader: Reader, topic: str) -> None:
        self._offsets = offsets
        self._reader = reader
        self._topic = topic

    def fill(
        self,
        sample: GroupSample,
        window: Window,
        is_like: Callable[[Collection[Feature]], bool] = lambda _: True,
        on_progress: OnProgress | None = None,
    ) -> BaselineKind:
        """Fill a sample with events of a time, or with the ones right before it.

        About MOST_BASELINE records are read, and those of them that are alike go into the sample.
        """
        extents = self._offsets.extents(self._topic, stable=True)
        inside = self._inside(extents, window)
        for record in _records(self._reader, spread(self._topic, inside), on_progress):
            if window.holds(record.timestamp):
                _offer(sample, record, is_like)
        if sample.rows:
            return BaselineKind.SAME_TIME
        before = {number: (first, inside[number][0]) for number, (first, _) in extents.items()}
        for record in _records(self._reader, newest(self._topic, before), on_progress):
            _offer(sample, record, is_like)
        return BaselineKind.EARLIER if sample.rows else BaselineKind.NONE

    def _inside(self, extents: Extents, window: Window) -> Extents:
        starts = self._at(window.start)
        ends = self._at(window.end)
        inside = {}
        for number, (first, end) in extents.items():
            start = max(first, starts.get(number, end if window.start else first))
            inside[number] = (start, max(start, min(end, ends.get(number, end))))
        return inside

    def _at(self, time: int | None) -> dict[int, int]:
        return {} if time is None else self._offsets.offsets_at(self._topic, max(0, time))


def _offer(
    sample: GroupSample, record: Record, is_like: Callable[[Collection[Feature]], bool]
) -> None:
    features = of_enriched(record)
    if features is not None and is_like(features):
        position = f"{record.partition}/{record.offset}"
        sample.offer(lambda: Observation(features, record.timestamp or 0, position))


def _records(
    reader: Reader, parts: Sequence[Ranges], on_progress: OnProgress | None
) -> Iterator[Record]:
    total = sum(end - first for part in parts for first, end in part.values())
    done = 0
    for part in parts:
        for record in reader.read(part):
            done += 1
            if on_progress is not None and done % _REPORT_EVERY == 0:
                on_progress(Progress("reading good events", done, total))
            yield record
    if on_progress is not None:
        on_progress(Progress("reading good events", total, total))


def spread(topic: str, extents: Extents, most: int = MOST_BASELINE) -> list[Ranges]:
    """About `most` offsets from slices all over the extents; each item is one reading.

    Partitions contribute in proportion to their lengths.
    """
    total = sum(end - first for first, end in extents.values())
    if total <= most:
        return [{(topic, number): ends for number, ends in extents.items()}]
    parts: list[dict[tuple[str, int], tuple[int, int]]] = [{} for _ in range(SLICES)]
    for number, (first, end) in extents.items():
        size = -(-most * (end - first) // (total * SLICES))
        for nth, part in enumerate(parts):
            start = first + (end - first) * nth // SLICES
            part[topic, number] = (start, min(start + size, end))
    return list(parts)


def newest(topic: str, extents: Extents, most: int = MOST_BASELINE) -> list[Ranges]:
    """About `most` offsets at the ends of the extents, equally many in each partition."""
    size = -(-most // max(1, len(extents)))
    return [
        {(topic, number): (max(first, end - size), end) for number, (first, end) in extents.items()}
    ]
