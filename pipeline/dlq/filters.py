"""Which letters are meant: the filters that all commands of the desk have in common."""

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
    """Raw events by their coordinates; None is any."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    item: int | None = None

    def holds(self, source: Source | None) -> bool:
        """Whether these coordinates are meant."""
        return (
            source is not None
            and self.topic == source.topic
            and self.partition in {None, source.partition}
            and self.offset in {None, source.offset}
            and self.item in {None, source.item}
        )


def read_source_filter(text: str) -> SourceFilter:
    """`topic[/partition[/offset[/index]]]`; ValueError for anything else."""
    topic, *numbers = text.split("/")
    if not topic or len(numbers) > len(SourceFilter._fields) - 1:
        raise ValueError(f"{text!r} is not topic[/partition[/offset[/index]]]")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise ValueError(f"{text!r}: partition, offset and index are numbers")
    return SourceFilter(topic, *map(int, numbers))


@dataclass(frozen=True)
class Selection:
    """Which letters are meant. Several values of one filter: any of them; all filters must hold."""

    failed: Window = ALL_TIME
    """Time of the failure."""
    original: Window = ALL_TIME
    """Time of the raw record; letters that do not tell it are outside of every bound."""
    reasons: frozenset[str] = frozenset()
    """Any of the letter's reasons."""
    events: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()
    """`name`, or `name/version`."""
    stages: frozenset[str] = frozenset()
    sources: tuple[SourceFilter, ...] = ()
    message_ids: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    """userId or anonymousId."""
    pointers: frozenset[str] = frozenset()
    """Place of any of the letter's violations."""
    detail: re.Pattern[str] | None = None
    """Found in the detail of any violation."""
    attempts: frozenset[int] = frozenset()
    limit: int | None = None
    """Most letters, in the order in which they are read."""
    offsets: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Partition → first offset and the one after the last; when given, no other partitions."""

    @property
    def narrows(self) -> bool:
        """Whether any letter in the offsets may be not meant."""
        return replace(self, limit=None, offsets={}) != EVERYTHING

    def reads(self, partition: int, offset: int) -> bool:
        """Whether a place in the dead-letter topic is among those to be read."""
        if not self.offsets:
            return True
        first, end = self.offsets.get(partition, (0, 0))
        return first <= offset < end

    def holds(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant; what needs only headers is looked at first."""
        return self._by_headers(letter) and self._by_value(letter)

    def _by_headers(self, letter: DeadLetter) -> bool:
        return (
            self.failed.holds(letter.failed_at)
            and (not self.original.is_bounded or self.original.holds(letter.source_timestamp))
            and (not self.stages or letter.stage in self.stages)
            and (not self.attempts or letter.attempt in self.attempts)
            and (not self.sources or any(each.holds(letter.source) for each in self.sources))
            and self._by_problems(letter)
        )

    def _by_problems(self, letter: DeadLetter) -> bool:
        reasons, pointers, detail = self.reasons, self.pointers, self.detail
        return (
            (
                not reasons
                or letter.reason in reasons
                or not reasons.isdisjoint(problem.code for problem in letter.problems)
            )
            and (not pointers or not pointers.isdisjoint(p.pointer for p in letter.problems))
            and (detail is None or any(detail.search(p.detail) for p in letter.problems))
        )

    def _by_value(self, letter: DeadLetter) -> bool:
        """Of our own letters these are headers too, except the users."""
        return (
            (not self.events or letter.event in self.events)
            and (not self.message_ids or letter.message_id in self.message_ids)
            and (not self.libraries or self._by_library(letter.library))
            and (not self.users or self._by_user(letter))
        )

    def _by_library(self, library: str) -> bool:
        # The name may have a slash itself, such as @segment/analytics-node.
        return library in self.libraries or library.rpartition("/")[0] in self.libraries

    def _by_user(self, letter: DeadLetter) -> bool:
        event = letter.event_object or {}
        ids = (event.get(name) for name in _NAMES_OF_USERS)
        return any(str(each) in self.users for each in ids if each is not None)


EVERYTHING: Final = Selection()
