"""The filters that all operations on dead letters have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from pipeline.core.coordinates import Source
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.dlq.dead_letter import DeadLetter

_NAMES_OF_USERS: Final = ("userId", "anonymousId")


class SourceFilter(NamedTuple):
    """Coordinates of raw events; None matches anything."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    item: int | None = None

    def matches(self, source: Source | None) -> bool:
        """Whether the coordinates of a raw event match."""
        return (
            source is not None
            and self.topic == source.topic
            and self.partition in {None, source.partition}
            and self.offset in {None, source.offset}
            and self.item in {None, source.item}
        )


def read_source_filter(text: str) -> SourceFilter:
    """Read `topic[/partition[/offset[/index]]]`; raises ValueError for anything else."""
    topic, *numbers = text.split("/")
    if not topic or len(numbers) > len(SourceFilter._fields) - 1:
        raise ValueError(f"{text!r} is not topic[/partition[/offset[/index]]]")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise ValueError(f"{text!r}: partition, offset and index are numbers")
    return SourceFilter(topic, *map(int, numbers))


@dataclass(frozen=True)
class Selection:
    """Filters for dead letters.

    A dead letter is selected when all filters match; of several values of one filter, any one has
    to.
    """

    failed: Window = ALL_TIME
    """When the event was rejected."""
    original: Window = ALL_TIME
    """Kafka timestamp of the raw record; dead letters without it match no bounded window."""
    reasons: frozenset[str] = frozenset()
    """Codes, of which the dead letter has one among its reasons."""
    events: frozenset[str] = frozenset()
    """Event names."""
    libraries: frozenset[str] = frozenset()
    """Libraries of the sender, each as `name` or `name/version`."""
    stages: frozenset[str] = frozenset()
    """Stages at which the event was rejected."""
    sources: tuple[SourceFilter, ...] = ()
    """Coordinates of the raw event."""
    message_ids: frozenset[str] = frozenset()
    """Message ids of the event."""
    users: frozenset[str] = frozenset()
    """Values of `userId` or `anonymousId`."""
    pointers: frozenset[str] = frozenset()
    """JSON Pointers, of which one is that of a violation."""
    detail: re.Pattern[str] | None = None
    """Pattern that is found in the detail of a violation."""
    attempts: frozenset[int] = frozenset()
    """Numbers of times that the event has failed."""
    limit: int | None = None
    """Maximum number of dead letters; those that are read first are selected."""
    offsets: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Partition → first offset, and the offset after the last. Empty selects all partitions;
    otherwise a partition that is not named is left out."""

    @property
    def has_filters(self) -> bool:
        """Whether a dead letter within the offsets may fail to match."""
        return replace(self, limit=None, offsets={}) != EVERYTHING

    def reads(self, partition: int, offset: int) -> bool:
        """Whether the filter on offsets selects a position in the dead-letter topic."""
        if not self.offsets:
            return True
        first, end = self.offsets.get(partition, (0, 0))
        return first <= offset < end

    def matches(self, dead_letter: DeadLetter) -> bool:
        """Whether all filters match; those that need only the headers are tried first."""
        return self._by_headers(dead_letter) and self._by_value(dead_letter)

    def _by_headers(self, dead_letter: DeadLetter) -> bool:
        return (
            self.failed.holds(dead_letter.failed_at)
            and (not self.original.is_bounded or self.original.holds(dead_letter.source_timestamp))
            and (not self.stages or dead_letter.stage in self.stages)
            and (not self.attempts or dead_letter.attempt in self.attempts)
            and (not self.sources or any(each.matches(dead_letter.source) for each in self.sources))
            and self._by_problems(dead_letter)
        )

    def _by_problems(self, dead_letter: DeadLetter) -> bool:
        reasons, pointers, detail = self.reasons, self.pointers, self.detail
        return (
            (
                not reasons
                or dead_letter.reason in reasons
                or not reasons.isdisjoint(problem.code for problem in dead_letter.problems)
            )
            and (not pointers or not pointers.isdisjoint(p.pointer for p in dead_letter.problems))
            and (detail is None or any(detail.search(p.detail) for p in dead_letter.problems))
        )

    def _by_value(self, dead_letter: DeadLetter) -> bool:
        """Filters that may need the value; our own dead letters state all but users in headers."""
        return (
            (not self.events or dead_letter.event in self.events)
            and (not self.message_ids or dead_letter.message_id in self.message_ids)
            and (not self.libraries or self._by_library(dead_letter.library))
            and (not self.users or self._by_user(dead_letter))
        )

    def _by_library(self, library: str) -> bool:
        # The name may have a slash itself, such as @segment/analytics-node.
        return library in self.libraries or library.rpartition("/")[0] in self.libraries

    def _by_user(self, dead_letter: DeadLetter) -> bool:
        event = dead_letter.event_object or {}
        ids = (event.get(name) for name in _NAMES_OF_USERS)
        return any(str(each) in self.users for each in ids if each is not None)


EVERYTHING: Final = Selection()
