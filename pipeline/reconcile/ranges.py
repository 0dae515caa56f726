"""Offsets that an audit or a comparison reads, captured once before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.core.record import Role
from pipeline.core.time_window import ALL_TIME, Window

OutputPartitioner = Callable[[Role, int, bytes | None], int]
"""Maps role, raw partition and key to the output partition that the worker chooses."""


class RawPartition(NamedTuple):
    """One partition of the raw topic."""

    begin: int
    """First offset that retention has left."""
    first: int
    """First offset that is read."""
    end: int
    """Offset after the last one that is read: the group's committed offset, or the end of the
    partition when no record follows the committed one; less when a time bounds the window."""
    last: int
    """End of the partition for readers, captured after the ends of the outputs."""


class OutputPartition(NamedTuple):
    """One partition of an output topic."""

    begin: int
    """First offset that retention has left."""
    first: int
    """First offset that is read."""
    end: int

    @property
    def has_gap(self) -> bool:
        """Whether retention may have deleted outputs that would otherwise be read."""
        return 0 < self.begin == self.first


@dataclass(frozen=True, slots=True)
class AuditRanges:
    """Everything that is read. Committed offsets are captured first, then the ends of the outputs.

    In this order the outputs of everything below the committed offsets are within the ranges, even
    while the group is running.
    """

    group: str
    raw_topic: str
    topics: Mapping[Role, str]
    """Role → output topic."""
    raw: Mapping[int, RawPartition]
    outputs: Mapping[tuple[str, int], OutputPartition]
    """(topic, partition) → what is read of it."""
    window: Window = ALL_TIME
    stamped_by_broker: frozenset[Role] = frozenset()
    """Roles whose topics replace timestamps (`message.timestamp.type=LogAppendTime`)."""
    raw_is_compacted: bool = False
    """Whether raw records may be gone although their outputs exist."""

    def raw_ranges(self, *, to_last: bool) -> dict[tuple[str, int], tuple[int, int]]:
        """Offsets to read of the raw topic; with `to_last` up to the end of each partition."""
        return {
            (self.raw_topic, number): (part.first, part.last if to_last else part.end)
            for number, part in self.raw.items()
        }

    def output_ranges(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Offsets to read of the output topics."""
        return {place: (part.first, part.end) for place, part in self.outputs.items()}
