"""The window of a replay: times or offsets, as people write them, made into fixed ranges.

The start is exact: Kafka tells the first offset with a time or a later one, so that all before it
is older. Behind the first record with the end's time there may be older ones, that came late: so
many more are read as there are up to a slack after the end, and each record's own time decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.core.time_window import FORMS, Window, read_moment
from pipeline.core.timestamps import format_time, time_text
from pipeline.errors import DataLossError
from pipeline.replay.plan import Part

EARLIEST: Final = "earliest"
LATEST: Final = "latest"
_OFFSETS: Final = re.compile(r"[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*")

Offsets = Mapping[int, int]
"""Partition → offset."""


@dataclass(frozen=True)
class Bound:
    """One end of the window: a time, offsets of some partitions, or no limit."""

    text: str
    """The text that it was read from."""
    time: int | None = None
    """Time in epoch milliseconds."""
    offsets: Offsets | None = None
    """Offsets of partitions; the other partitions are not replayed."""


def read_bound(text: str, unbounded: str, now: int) -> Bound:
    """Read a start or an end; ValueError names the valid forms.

    `unbounded` is the word for no limit; `now` is epoch milliseconds.
    """
    if text == unbounded:
        return Bound(text)
    if _OFFSETS.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        offsets = {int(number): int(offset) for number, offset in pairs}
        if len(offsets) < len(pairs):
            raise ValueError(f"{text!r} names a partition twice")
        return Bound(text, offsets=offsets)
    try:
        time = read_moment(text, now)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a valid start or end. Use {FORMS}, {unbounded}, or offsets of "
            "partitions such as 0:100,1:200"
        ) from None
    if time > now:
        raise ValueError(f"{text} is in the future, at {format_time(time)}")
    return Bound(text, time)


@dataclass(frozen=True)
class Extent:
    """The offsets of one partition, and those that a window finds in it."""

    begin: int
    """The first offset that retention has left."""
    end: int
    """The offset after the last one that can be read."""
    from_start: int
    """The first offset with the start's time or a later one; `end` when there is none."""
    to_end: int
    """The same of the end's time and the slack."""


@dataclass(frozen=True)
class WindowRanges:
    """A window in offsets, with what an operator should know about it."""

    parts: tuple[Part, ...]
    window: Window
    """Kafka timestamps of the selected records in these ranges."""
    warnings: tuple[str, ...] = ()
    """A sentence for everything that retention has deleted of the window."""
    notes: tuple[str, ...] = ()


def ranges(
    topic: str,
    extents: Mapping[int, Extent],
    start: Bound,
    end: Bound,
    oldest: Callable[[int], int | None],
) -> WindowRanges:
    """The ranges of a topic's partitions.

    `oldest` tells the time (epoch milliseconds) of the oldest record that is left in a partition.
    ValueError when a partition does not exist or the bounds are upside down, DataLossError when
    offsets are behind the topic's end.
    """
    _check(topic, extents, start, end)
    parts, warnings, notes = [], [], []
    for number, extent in sorted(extents.items()):
        if not _is_named(number, start) or not _is_named(number, end):
            continue
        first = _start(topic, number, extent, start)
        last = _end(topic, number, extent, end)
        if first < extent.begin:
            warnings.append(
                f"{topic}/{number}: offsets {first} to {extent.begin - 1} were deleted by "
                f"retention; it begins at {extent.begin}"
            )
        elif start.time is not None and extent.begin > 0 and first == extent.begin:
            warnings += _cut(topic, number, extent.begin, start.time, oldest(number))
        elif start.time is None and start.offsets is None and extent.begin > 0:
            notes.append(f"{topic}/{number}: retention has deleted all before {extent.begin}")
        first = max(first, extent.begin)
        parts.append(Part(number, first, max(first, last)))
    return WindowRanges(tuple(parts), Window(start.time, end.time), tuple(warnings), tuple(notes))


def _check(topic: str, extents: Mapping[int, Extent], start: Bound, end: Bound) -> None:
    if start.time is not None and end.time is not None and start.time >= end.time:
        raise ValueError("--from must be earlier than --to")
    for bound in (start, end):
        unknown = sorted((bound.offsets or {}).keys() - extents.keys())
        if unknown:
            raise ValueError(
                f"{bound.text}: topic {topic} has no partition {unknown[0]}, it has 0 to "
                f"{max(extents)}"
            )
    if start.offsets and end.offsets:
        for number in sorted(start.offsets.keys() & end.offsets.keys()):
            if start.offsets[number] > end.offsets[number]:
                raise ValueError(f"partition {number}: --from must be below --to")


def _is_named(number: int, bound: Bound) -> bool:
    return bound.offsets is None or number in bound.offsets


def _start(topic: str, number: int, extent: Extent, bound: Bound) -> int:
    if bound.offsets is not None:
        return _existing(topic, number, bound.offsets[number], extent.end)
    return extent.begin if bound.time is None else extent.from_start


def _end(topic: str, number: int, extent: Extent, bound: Bound) -> int:
    if bound.offsets is not None:
        return _existing(topic, number, bound.offsets[number], extent.end)
    return extent.end if bound.time is None else extent.to_end


def _existing(topic: str, number: int, offset: int, end: int) -> int:
    if offset > end:
        raise DataLossError(
            f"{topic}/{number}: there is no offset {offset} to read, the topic ends at {end} (or a "
            "transaction that begins there is still open)"
        )
    return offset


def _cut(topic: str, number: int, begin: int, start: int, oldest: int | None) -> list[str]:
    """Warn of a start that retention may have deleted: only the oldest record left can tell."""
    if oldest is None or oldest <= start:
        return []
    what = f"{topic}/{number}: retention has deleted all before offset {begin}"
    until = time_text(oldest)
    if until is None:
        return [f"{what}, and the time of that record is unknown: some may be missing"]
    return [f"{what}, so nothing is left from {format_time(start)} to {until}"]


def why_empty(topic: str, extent: Extent, start: Bound, end: Bound) -> str:
    """Say why nothing of a partition is in the window."""
    if extent.begin == extent.end:
        return f"{topic} has no records here"
    if start.time is not None and extent.from_start >= extent.end:
        return f"all records are older than {format_time(start.time)}"
    if end.time is not None and extent.to_end <= extent.begin:
        return f"all records that are left are from {format_time(end.time)} on, or later"
    return "no record is between the bounds"
