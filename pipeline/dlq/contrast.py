"""What dead letters have in common that good events do not."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from pipeline.dlq.features import HOLDER, MEMBER, TYPE, Feature

MOST_LETTERS: Final = 10_000
"""Letters whose payload is looked at; of more, a sample in which each has the same chance."""
MOST_FINDINGS: Final = 8
_Z: Final = 2.58
"""Normal quantile of a two-sided confidence of 99 %: hundreds of features are compared."""
_LEAST_DIFFERENCE: Final = 0.15
"""Of the shares, at that confidence; one letter alone never reaches it."""
_CANDIDATES: Final = 60
_SAME: Final = 0.9
_ENOUGH: Final = 10
"""Good events from which it can be told whether one feature comes with another."""
_COMMON: Final = 0.5
_MOST_FEATURES: Final = 200_000


class Seen(NamedTuple):
    """One event that is looked at."""

    features: Collection[Feature]
    time: int
    """Epoch milliseconds; of a letter that of its failure."""
    place: str
    """`partition/offset` of its record."""


class _Row(NamedTuple):
    features: tuple[int, ...]
    """Numbers in the vocabulary: a sample of thousands stays small."""
    time: int
    place: str


class Vocabulary:
    """Numbers for features, the same in the samples that are compared.

    What is met after `_MOST_FEATURES` others is rare, and has no number.
    """

    def __init__(self) -> None:
        self.features: list[Feature] = []
        self.number_of: dict[Feature, int] = {}

    def numbers(self, features: Collection[Feature]) -> tuple[int, ...]:
        """Of each feature that has one."""
        found = []
        for feature in features:
            number = self.number_of.get(feature)
            if number is None:
                if len(self.features) == _MOST_FEATURES:
                    continue
                number = self.number_of[feature] = len(self.features)
                self.features.append(feature)
            found.append(number)
        return tuple(found)


class Sample:
    """A bounded part of what is offered, in which each event has the same chance to be.

    The same events in the same order give the same sample.
    """

    def __init__(self, most: int, vocabulary: Vocabulary) -> None:
        self.offered = 0
        self.rows: list[_Row] = []
        self.vocabulary = vocabulary
        self._most = most
        self._dice = random.Random(0)  # noqa: S311  nothing is secret here

    def offer(self, look: Callable[[], Seen]) -> None:
        """Count an event; it is looked at only when it gets into the sample."""
        self.offered += 1
        if len(self.rows) < self._most:
            self.rows.append(self._row(look()))
            return
        place = self._dice.randrange(self.offered)
        if place < self._most:
            self.rows[place] = self._row(look())

    def _row(self, seen: Seen) -> _Row:
        return _Row(self.vocabulary.numbers(seen.features), seen.time, seen.place)

    def lacking(self, feature: Feature) -> int:
        """How many in the sample do not have a feature."""
        number = self.vocabulary.number_of.get(feature)
        return sum(number not in row.features for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether all that was offered is in it."""
        return self.offered == len(self.rows)


class Share(NamedTuple):
    """How many of a sample."""

    events: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.events / self.total if self.total else 0.0

    def interval(self) -> tuple[float, float]:
        """Wilson's bounds of the share in what the sample was taken from."""
        if not self.total:
            return 0.0, 1.0
        p, n, z = self.share, self.total, _Z
        middle = p + z * z / (2 * n)
        spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


class Finding(NamedTuple):
    """Something that letters have, or lack, more often than good events."""

    feature: Feature
    lacks: bool
    """That it is not there is what the letters have in common."""
    letters: Share
    good: Share
    """Of nothing when there is nothing to compare with."""
    difference: float
    """Of the shares; at least that much, at a confidence of 99 %."""
    first: int
    """When the first of these letters failed, epoch milliseconds."""
    sample: str
    """`partition/offset` of that letter."""


def contrast(
    letters: Sample,
    good: Sample,
    *,
    most: int = MOST_FINDINGS,
    without: Collection[str] = (),
) -> list[Finding]:
    """The features with the largest difference, the largest first; both of one vocabulary.

    The measure is the lower bound of the difference at a confidence of 99 % (Newcombe's interval
    of two shares), so that what a few letters happen to have does not win. Of features that the
    same letters have, those that come with a stronger one in good events too are left out.
    `without` names kinds of features that are not compared.
    """
    comparison = _Comparison(letters, good)
    found = [
        one
        for one in comparison.findings()
        if one.difference > _LEAST_DIFFERENCE and one.feature.about not in without
    ]
    found.sort(key=lambda one: (-one.difference, -len(one.feature.text), one.feature))
    return comparison.distinct(found[:_CANDIDATES], most)


def common(letters: Sample, *, most: int = MOST_FINDINGS) -> list[Finding]:
    """What most letters have, where there is nothing to compare with.

    Members and their types are left out: any event of one name has most of them.
    """
    comparison = _Comparison(letters, Sample(0, letters.vocabulary))
    found = [
        one
        for one in comparison.findings()
        if one.letters.share >= _COMMON
        and one.feature.value
        and one.feature.about not in {MEMBER, TYPE}
    ]
    found.sort(key=lambda one: (-one.letters.events, -len(one.feature.text), one.feature))
    return comparison.distinct(found[:_CANDIDATES], most)


class _Comparison:
    def __init__(self, letters: Sample, good: Sample) -> None:
        self._features = letters.vocabulary.features
        self._number_of = letters.vocabulary.number_of
        self._letters = letters.rows
        self._good = good.rows
        self._in_letters = Counter(number for row in letters.rows for number in row.features)
        self._in_good = Counter(number for row in good.rows for number in row.features)

    def findings(self) -> Iterator[Finding]:
        """All features that letters have, and members that they may lack; not dated yet."""
        for number in self._in_letters:
            if self._features[number].about != HOLDER:
                yield self._finding(number, lacks=False)
        # That a letter is not of one event or page says nothing; that a property is missing does.
        for number in self._in_good:
            if self._features[number].about == MEMBER:
                yield self._finding(number, lacks=True)

    def _finding(self, number: int, *, lacks: bool) -> Finding:
        feature = self._features[number]
        holder = self._number_of.get(feature.holder, number) if lacks else number
        counts = []
        for counter, rows in ((self._in_letters, self._letters), (self._in_good, self._good)):
            events = counter[holder] - counter[number] if lacks else counter[number]
            counts.append(Share(events, len(rows)))
        letters, good = counts
        return Finding(feature, lacks, letters, good, _least_difference(letters, good), 0, "")

    def distinct(self, found: Iterable[Finding], most: int) -> list[Finding]:
        """The first `most` that no earlier one implies, with the first letter of each."""
        kept: list[tuple[Finding, _Having]] = []
        for one in found:
            having = self._having(one)
            if not any(_implies(earlier, (one, having)) for earlier in kept):
                kept.append((one, having))
                if len(kept) == most:
                    break
        return [self._dated(finding, having) for finding, having in kept]

    def _having(self, finding: Finding) -> _Having:
        number = self._number_of[finding.feature]
        needed = self._number_of[finding.feature.holder] if finding.lacks else number
        return _Having(
            *(
                frozenset(
                    i
                    for i, row in enumerate(rows)
                    if needed in row.features and (not finding.lacks or number not in row.features)
                )
                for rows in (self._letters, self._good)
            )
        )

    def _dated(self, finding: Finding, having: _Having) -> Finding:
        first = min((self._letters[i] for i in having.letters), key=lambda r: r.time or math.inf)
        return finding._replace(first=first.time, sample=first.place)


class _Having(NamedTuple):
    """Indexes of the events that have what a finding says."""

    letters: frozenset[int]
    good: frozenset[int]


def _implies(stronger: tuple[Finding, _Having], weaker: tuple[Finding, _Having]) -> bool:
    """Whether the weaker says nothing new: the same letters, and it comes with the stronger."""
    (one, having), (other, other_having) = stronger, weaker
    same = len(having.letters & other_having.letters)
    if same < _SAME * len(having.letters | other_having.letters):
        return False
    if one.feature.generalises(other.feature) or other.feature.generalises(one.feature):
        return True
    together = len(having.good & other_having.good)
    return len(having.good) >= _ENOUGH and together >= _SAME * len(having.good)


def _least_difference(letters: Share, good: Share) -> float:
    """Lower bound of Newcombe's hybrid score interval of `letters - good`."""
    lower, _ = letters.interval()
    _, upper = good.interval()
    difference = letters.share - good.share
    return difference - math.hypot(letters.share - lower, upper - good.share)
