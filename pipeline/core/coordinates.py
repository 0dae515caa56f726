"""Coordinates of a raw event, in the form that headers carry: `topic/partition/offset[/index]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from pipeline.core.record import NO_PARTITION

NO_ITEM: Final = -1
"""`Source.item` of an event that is not part of a batch."""
_LARGEST: Final = 2**63
_DIGITS: Final = 19
_PARTS: Final = 3


class Source(NamedTuple):
    """Coordinates of one raw event."""

    topic: str
    partition: int
    offset: int
    item: int = NO_ITEM
    """Index within a batch; NO_ITEM for an event that is not part of one."""

    def text(self) -> str:
        """The form that headers carry; `file:line[:index]` for a line of a file."""
        if self.partition == NO_PARTITION:
            index = "" if self.item == NO_ITEM else f":{self.item}"
            return f"{self.topic}:{self.offset}{index}"
        index = "" if self.item == NO_ITEM else f"/{self.item}"
        return f"{self.topic}/{self.partition}/{self.offset}{index}"


def parse_source(text: bytes) -> Source | None:
    """Coordinates from the bytes of a header; None when they are not in that form."""
    parts = text.split(b"/")
    numbers = parts[1:]
    if len(numbers) not in {_PARTS - 1, _PARTS} or not all(map(_is_number, numbers)):
        return None
    values = [int(number) for number in numbers]
    item = values[2] if len(values) == _PARTS else NO_ITEM
    return Source(parts[0].decode(errors="replace"), values[0], values[1], item)


def _is_number(text: bytes) -> bool:
    """Whether the text is a number that fits into 64 bits."""
    return text.isdigit() and len(text) <= _DIGITS and int(text) < _LARGEST


def format_ranges(numbers: Iterable[int]) -> str:
    """Partition numbers in the form that people read: `0-3, 7`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in ranges)


def format_partitions(numbers: Collection[int]) -> str:
    """Partition numbers with the word for them: `partition 7`, `partitions 0-3, 7`."""
    return f"{'partitions' if len(numbers) > 1 else 'partition'} {format_ranges(numbers)}"
