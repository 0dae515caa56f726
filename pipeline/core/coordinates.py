"""Coordinates of a raw event, `topic/partition/offset[/index]`, as headers carry them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.core.record import NO_PARTITION

NO_ITEM: Final = -1
"""Stands for the missing index of an event outside batches."""
_LARGEST: Final = 2**63
_DIGITS: Final = 19
_PARTS: Final = 3


class Source(NamedTuple):
    """Which raw event something is about."""

    topic: str
    partition: int
    offset: int
    item: int = NO_ITEM
    """Index in a batch; NO_ITEM outside one."""

    def text(self) -> str:
        """As headers have it; of a file `file:line[:index]`."""
        if self.partition == NO_PARTITION:
            index = "" if self.item == NO_ITEM else f":{self.item}"
            return f"{self.topic}:{self.offset}{index}"
        index = "" if self.item == NO_ITEM else f"/{self.item}"
        return f"{self.topic}/{self.partition}/{self.offset}{index}"


def parse_source(text: bytes) -> Source | None:
    """Coordinates in a header; None when they are none."""
    parts = text.split(b"/")
    numbers = parts[1:]
    if len(numbers) not in {_PARTS - 1, _PARTS} or not all(map(_is_number, numbers)):
        return None
    values = [int(number) for number in numbers]
    item = values[2] if len(values) == _PARTS else NO_ITEM
    return Source(parts[0].decode(errors="replace"), values[0], values[1], item)


def _is_number(text: bytes) -> bool:
    """Whether it is a number that can be stored in 64 bits."""
    return text.isdigit() and len(text) <= _DIGITS and int(text) < _LARGEST


def format_ranges(numbers: Iterable[int]) -> str:
    """Numbers of partitions for people: `0-3, 7`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in ranges)
