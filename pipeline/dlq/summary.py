"""Counts many dead letters in a few groups, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.core.ages import retention_left_s
from pipeline.core.headers import DlqHeader
from pipeline.core.timestamps import MAX_MS
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.dlq.dimensions import Dimension, dimension
from pipeline.dlq.expiry import EXPIRY_WARNING_S
from pipeline.dlq.message_pattern import to_pattern
from pipeline.dlq.reader import Coverage, open_reader
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.dlq.timeline import Counts, Timeline
from pipeline.progress import OnProgress
from pipeline.wiring import WallClock

MOST_GROUPS: Final = 1000
MOST_PATTERNS: Final = 20
"""Maximum number of detail patterns in each group."""
_CACHED: Final = 4096

_REASON_HEADERS: Final = frozenset(
    header.value for header in (DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE)
)
"""Headers in `DeadLetter.reason_headers`."""

_Headers = tuple[object, ...]
Key = tuple[str, ...]
"""One value for each dimension."""


@dataclass(slots=True)
class DetailPattern:
    """Details that differ only in ids, numbers and quoted values."""

    pattern: str
    text: str
    """Detail of the first dead letter."""
    dead_letters: int = 0
    varies: bool = False
    """Whether any detail differs from the first."""

    @property
    def shown(self) -> str:
        """The detail itself when all are equal, otherwise the pattern."""
        return self.pattern if self.varies else self.text


@dataclass(slots=True)
class Group:
    """Dead letters with the same value in every requested dimension."""

    key: Key
    """Empty for the dead letters whose groups exceed the maximum."""
    over_time: Counts
    """Series of `Summary.timeline`."""
    sample: str = ""
    """`partition/offset` of the first dead letter that was read."""
    dead_letters: int = 0
    first: int = 0
    """Time of the first failure in epoch milliseconds; 0 when no dead letter has a time."""
    last: int = 0
    """Time of the last failure."""
    patterns: dict[str, DetailPattern] = field(default_factory=dict)
    """Details of the first reason, by their pattern."""
    of_other_patterns: int = 0
    """Number of dead letters whose patterns exceed the maximum."""

    def main_patterns(self) -> list[DetailPattern]:
        """All patterns, the most frequent first."""
        return sorted(self.patterns.values(), key=lambda each: (-each.dead_letters, each.pattern))


_Slot = tuple[Group, DetailPattern | None]


class Summary:
    """Counts dead letters by combinations of dimensions.

    It keeps `most_groups` combinations, the first that it meets; all others are counted in `other`.
    A dead letter with several reasons is counted once, by its first reason.
    """

    def __init__(
        self,
        by: Sequence[Dimension | str],
        most_groups: int = MOST_GROUPS,
        *,
        expires_before: int | None = None,
    ) -> None:
        """`expires_before` is the time in epoch milliseconds before which dead letters expire."""
        self.expiring = 0
        """Number of dead letters with an earlier time."""
        self._expires_before = expires_before or 0
        self.by = [each if isinstance(each, Dimension) else dimension(each) for each in by]
        self.timeline = Timeline()
        self.other = Group((), self.timeline.series())
        self._most = most_groups
        self._groups: dict[Key, Group] = {}
        deciding = [*(header for each in self.by for header in each.headers), DlqHeader.REASONS]
        self._headers = tuple(dict.fromkeys(header.value for header in deciding))
        self._by_headers = all(each.headers for each in self.by)
        self._by_reason = self._by_headers and _REASON_HEADERS.issuperset(self._headers)
        self._slots: dict[_Headers | None, _Slot] = {}

    def add(self, dead_letter: DeadLetter) -> None:
        """Count a dead letter."""
        # Most dead letters have the headers of an earlier one: nothing of these is decoded again.
        headers: _Headers | None = dead_letter.reason_headers if self._by_reason else None
        if headers is None:
            headers = self._deciding_headers(dead_letter)
        slot = self._slots.get(headers)
        if slot is None:
            slot = self._slot(dead_letter)
            if headers is not None:
                if len(self._slots) >= _CACHED:
                    self._slots.clear()
                self._slots[headers] = slot
        group, pattern = slot
        group.dead_letters += 1
        if pattern is None:
            group.of_other_patterns += 1
        else:
            pattern.dead_letters += 1
        time = dead_letter.record.timestamp
        if time is not None and 0 < time <= MAX_MS:
            if time > group.last:  # noqa: PLR1730  max() costs more, and this is done a million times
                group.last = time
            if time < group.first or not group.first:
                group.first = time
            self.timeline.add(group.over_time, time)
            if time < self._expires_before:
                self.expiring += 1

    def _deciding_headers(self, dead_letter: DeadLetter) -> _Headers | None:
        """Headers that decide on the group; None when the value decides, too."""
        if not self._by_headers or dead_letter.header_format != TRACK:
            return None
        return dead_letter.raws(self._headers)

    def _slot(self, dead_letter: DeadLetter) -> _Slot:
        key = tuple([each.read(dead_letter) for each in self.by])
        group = self._groups.get(key)
        if group is None:
            group = self._new_group(key)
        if not group.sample:
            group.sample = dead_letter.position
        detail = dead_letter.problems[0].detail
        pattern = to_pattern(detail)
        found = group.patterns.get(pattern)
        if found is None:
            if len(group.patterns) >= MOST_PATTERNS:
                return group, None
            found = group.patterns[pattern] = DetailPattern(pattern, detail)
        found.varies = found.varies or found.text != detail
        return group, found

    def _new_group(self, key: Key) -> Group:
        if len(self._groups) >= self._most:
            return self.other
        group = self._groups[key] = Group(key, self.timeline.series())
        return group

    def all_groups(self) -> list[Group]:
        """Groups in the order in which they were met, then `other`."""
        return [*self._groups.values(), self.other]

    @property
    def dead_letters(self) -> int:
        """Number of all dead letters."""
        return sum(group.dead_letters for group in self.all_groups())

    @property
    def first(self) -> int:
        """Time of the first failure in epoch milliseconds; 0 when no dead letter has a time."""
        return min((g.first for g in self.all_groups() if g.first), default=0)

    @property
    def last(self) -> int:
        """Time of the last failure in epoch milliseconds."""
        return max(group.last for group in self.all_groups())

    def groups(self) -> list[Group]:
        """Groups without `other`, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.dead_letters, group.key))


class SummaryResult(NamedTuple):
    """A summary of the selected dead letters."""

    summary: Summary
    revenue: BlockedRevenue
    """Revenue of their events, which is not in the enriched topic."""
    coverage: Coverage
    expiring: int | None = None
    """Number of dead letters that retention may delete within EXPIRY_WARNING_S; None when there is
    no time limit, when it is not known, and when resolved ones are counted too."""
    expires_in_s: float | None = None
    """Time until retention may delete the first of these; None when there is none."""


def summarize(
    request: DlqRequest,
    by: Sequence[Dimension | str] = ("reason",),
    *,
    on_progress: OnProgress | None = None,
    on_notice: OnNotice = ignore_notice,
) -> SummaryResult:
    """Count the selected dead letters; see `open_reader` for errors.

    One process reads, in chunks of `kafka.reader.CHUNK`: more processes would save seconds of a
    million dead letters, and were a second mechanism to understand.
    """
    reader = open_reader(request, on_notice, only_shows=True)
    limit, now = None, WallClock().now()
    if not request.include_done:
        limit = reader.snapshot.retention.limit_ms(now, EXPIRY_WARNING_S)
    summary, revenue = Summary(by, expires_before=limit), BlockedRevenue(request.settings)
    for dead_letter in reader.dead_letters(on_progress):
        summary.add(dead_letter)
        revenue.add(dead_letter)
    expiring = None if limit is None else summary.expiring
    kept_ms = reader.snapshot.retention.kept_ms
    left = retention_left_s(summary.first, kept_ms, now) if expiring else None
    return SummaryResult(summary, revenue, reader.coverage, expiring, left)
