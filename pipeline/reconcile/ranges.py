"""What an audit looks at: ranges of offsets, captured once before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.core.record import Role
from pipeline.core.time_window import ALL_TIME, Window

Target = Callable[[Role, int, bytes | None], int]
"""Role, raw partition and key → the output partition that the worker chooses."""


class RawPartition(NamedTuple):
    """One partition of the raw topic."""

    begin: int
    """The first offset that retention has left."""
    first: int
    """Where the audit begins."""
    end: int
    """Where it ends: the group's committed offset, or behind what follows it and has no record;
    less when a time bounds the window."""
    last: int
    """Where the topic ends for readers, captured after the ends of the outputs."""


class OutputPartition(NamedTuple):
    """One partition of an output topic."""

    begin: int
    """The first offset that retention has left."""
    first: int
    """Where reading begins."""
    end: int

    @property
    def is_cut(self) -> bool:
        """Whether outputs that would be read may have been deleted."""
        return 0 < self.begin == self.first


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read. Committed offsets are captured first, then the ends of the outputs.

    So the outputs of everything below the committed offsets are within the ranges, also while the
    group is running.
    """

    group: str
    raw_topic: str
    topics: Mapping[Role, str]
    """Role → output topic."""
    raw: Mapping[int, RawPartition]
    outputs: Mapping[tuple[str, int], OutputPartition]
    """(topic, partition) →"""
    window: Window = ALL_TIME
    stamped_by_broker: frozenset[Role] = frozenset()
    """Roles whose topics replace timestamps (`message.timestamp.type=LogAppendTime`)."""
    raw_is_compacted: bool = False
    """Then a raw record may be gone although its outputs are there."""

    def raw_ranges(self, *, to_last: bool) -> dict[tuple[str, int], tuple[int, int]]:
        """What is read of the raw topic; `to_last` goes on behind the window."""
        return {
            (self.raw_topic, number): (part.first, part.last if to_last else part.end)
            for number, part in self.raw.items()
        }

    def output_ranges(self) -> dict[tuple[str, int], tuple[int, int]]:
        """What is read of the output topics."""
        return {place: (part.first, part.end) for place, part in self.outputs.items()}
