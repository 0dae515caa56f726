"""Many letters as a few groups, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.core.headers import DlqHeader
from pipeline.core.timestamps import MAX_MS
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.dlq.dimensions import Dimension, dimension
from pipeline.dlq.message_pattern import fold
from pipeline.dlq.timeline import Counts, Timeline

MOST_GROUPS: Final = 1000
MOST_KINDS: Final = 20
"""Of details, in each group."""
_KEPT: Final = 4096

_WHY: Final = frozenset({DlqHeader.REASON.value, DlqHeader.REASONS.value, DlqHeader.STAGE.value})
"""What `DeadLetter.why` has."""

_Said = tuple[object, ...]
Key = tuple[str, ...]
"""One value for each dimension."""


@dataclass(slots=True)
class Kind:
    """Details that are the same but for ids, numbers and quoted values."""

    folded: str
    text: str
    """The first of them."""
    letters: int = 0
    varies: bool = False

    @property
    def shown(self) -> str:
        """The detail itself when all are the same, else what they have in common."""
        return self.folded if self.varies else self.text


@dataclass(slots=True)
class Group:
    """Letters that are the same in every dimension asked for."""

    key: Key
    """Empty of the letters for which there was no room as groups of their own."""
    over_time: Counts
    """See `Summary.timeline`."""
    sample: str = ""
    """`partition/offset` of the first that was read."""
    letters: int = 0
    first: int = 0
    """Time of the first failure, epoch milliseconds; 0 when no letter tells its time."""
    last: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    """Folded detail of the first reason → kind."""
    of_other_kinds: int = 0
    """Letters for whose kind there was no room."""

    def main_kinds(self) -> list[Kind]:
        """The most frequent first."""
        return sorted(self.kinds.values(), key=lambda kind: (-kind.letters, kind.folded))

    def take(self, other: Group) -> None:
        """Count in another group, but for its time line, which was read behind this one."""
        self.sample = self.sample or other.sample
        self.letters += other.letters
        self.first = min(self.first or other.first, other.first or self.first)
        self.last = max(self.last, other.last)
        self.of_other_kinds += other.of_other_kinds
        for kind in other.kinds.values():
            mine = self.kinds.get(kind.folded)
            if mine is not None:
                mine.letters += kind.letters
                mine.varies = mine.varies or kind.varies or mine.text != kind.text
            elif len(self.kinds) < MOST_KINDS:
                self.kinds[kind.folded] = kind
            else:
                self.of_other_kinds += kind.letters


_Slot = tuple[Group, Kind | None]


class Summary:
    """Counts letters by combinations of dimensions.

    At most `most_groups` combinations, those that are met first; letters of others are in `other`.
    A letter with several reasons counts once, by its first one.
    """

    def __init__(self, by: Sequence[Dimension | str], most_groups: int = MOST_GROUPS) -> None:
        self.by = [each if isinstance(each, Dimension) else dimension(each) for each in by]
        self.timeline = Timeline()
        self.other = Group((), self.timeline.series())
        self._most = most_groups
        self._groups: dict[Key, Group] = {}
        deciding = [*(header for each in self.by for header in each.headers), DlqHeader.REASONS]
        self._headers = tuple(dict.fromkeys(header.value for header in deciding))
        self._by_headers = all(each.headers for each in self.by)
        self._by_why = self._by_headers and _WHY.issuperset(self._headers)
        self._slots: dict[_Said | None, _Slot] = {}

    def add(self, letter: DeadLetter) -> None:
        """Count a letter."""
        # Most letters say what was met before: nothing of that is decoded again.
        said: _Said | None = letter.why if self._by_why else None
        if said is None:
            said = self._said(letter)
        slot = self._slots.get(said)
        if slot is None:
            slot = self._slot(letter)
            if said is not None:
                if len(self._slots) >= _KEPT:
                    self._slots.clear()
                self._slots[said] = slot
        group, kind = slot
        group.letters += 1
        if kind is None:
            group.of_other_kinds += 1
        else:
            kind.letters += 1
        time = letter.record.timestamp
        if time is not None and 0 < time <= MAX_MS:
            if time > group.last:  # noqa: PLR1730  max() costs more, and this is done a million times
                group.last = time
            if time < group.first or not group.first:
                group.first = time
            self.timeline.add(group.over_time, time)

    def _said(self, letter: DeadLetter) -> _Said | None:
        """What decides where the letter belongs; None when that is more than a few headers."""
        if not self._by_headers or letter.dialect != TRACK:
            return None
        return letter.raws(self._headers)

    def _slot(self, letter: DeadLetter) -> _Slot:
        key = tuple([each.read(letter) for each in self.by])
        group = self._groups.get(key)
        if group is None:
            group = self._new_group(key)
        if not group.sample:
            group.sample = letter.place
        detail = letter.problems[0].detail
        folded = fold(detail)
        kind = group.kinds.get(folded)
        if kind is None:
            if len(group.kinds) >= MOST_KINDS:
                return group, None
            kind = group.kinds[folded] = Kind(folded, detail)
        kind.varies = kind.varies or kind.text != detail
        return group, kind

    def _new_group(self, key: Key) -> Group:
        if len(self._groups) >= self._most:
            return self.other
        group = self._groups[key] = Group(key, self.timeline.series())
        return group

    def take(self, other: Summary) -> None:
        """Count in what another summary by the same dimensions has read behind this one."""
        for group in other.all_groups():
            if group is other.other:
                mine = self.other
            else:
                mine = self._groups.get(group.key) or self._new_group(group.key)
            mine.take(group)
            self.timeline.add_all(mine.over_time, other.timeline, group.over_time)

    def all_groups(self) -> list[Group]:
        """Those with a key, as they were met, and the other letters."""
        return [*self._groups.values(), self.other]

    def __getstate__(self) -> dict[str, Any]:
        """All but the cache: what another process needs."""
        return {**self.__dict__, "_slots": {}}

    @property
    def letters(self) -> int:
        """All that were counted."""
        return sum(group.letters for group in self.all_groups())

    @property
    def first(self) -> int:
        """Time of the first failure of all, epoch milliseconds; 0 when none tells its time."""
        return min((g.first for g in self.all_groups() if g.first), default=0)

    @property
    def last(self) -> int:
        """Time of the last failure of all."""
        return max(group.last for group in self.all_groups())

    def groups(self) -> list[Group]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.letters, group.key))
