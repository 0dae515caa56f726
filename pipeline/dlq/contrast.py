"""What dead letters have in common that good events do not."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from pipeline.dlq.features import HOLDER, MEMBER, TYPE, Feature

MOST_DEAD_LETTERS: Final = 10_000
"""Maximum number of dead letters whose payload is read; of more, a random sample is."""
MOST_FINDINGS: Final = 8
_Z: Final = 2.58
"""Normal quantile of a two-sided confidence of 99 %: hundreds of features are compared."""
_LEAST_DIFFERENCE: Final = 0.15
"""Smallest difference of shares, at that confidence, that is a finding; a single dead letter never
reaches it."""
_CANDIDATES: Final = 60
_SAME: Final = 0.9
_ENOUGH: Final = 10
"""Number of good events that tell whether one feature implies another."""
_COMMON: Final = 0.5
_MOST_FEATURES: Final = 200_000


class Observation(NamedTuple):
    """Features of one event."""

    features: Collection[Feature]
    time: int
    """Epoch milliseconds; for a dead letter, the time of its failure."""
    position: str
    """`partition/offset` of the record."""


class _SampledEvent(NamedTuple):
    features: tuple[int, ...]
    """Numbers in the vocabulary, so that a sample of thousands stays small."""
    time: int
    position: str


class Vocabulary:
    """Numbers of features, shared by the samples that are compared.

    A feature that is met after `_MOST_FEATURES` others is rare, and gets no number.
    """

    def __init__(self) -> None:
        self.features: list[Feature] = []
        self.number_of: dict[Feature, int] = {}

    def numbers(self, features: Collection[Feature]) -> tuple[int, ...]:
        """Numbers of the features that have one."""
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


class GroupSample:
    """A bounded random sample of a group of events, in which each event has the same chance.

    The same events in the same order give the same sample.
    """

    def __init__(self, most: int, vocabulary: Vocabulary) -> None:
        self.offered = 0
        self.rows: list[_SampledEvent] = []
        self.vocabulary = vocabulary
        self._most = most
        self._dice = random.Random(0)  # noqa: S311  nothing is secret here

    def offer(self, look: Callable[[], Observation]) -> None:
        """Count an event; its features are read only when it gets into the sample."""
        self.offered += 1
        if len(self.rows) < self._most:
            self.rows.append(self._row(look()))
            return
        index = self._dice.randrange(self.offered)
        if index < self._most:
            self.rows[index] = self._row(look())

    def _row(self, observation: Observation) -> _SampledEvent:
        return _SampledEvent(
            self.vocabulary.numbers(observation.features), observation.time, observation.position
        )

    def lacking(self, feature: Feature) -> int:
        """Number of events in the sample without a feature."""
        number = self.vocabulary.number_of.get(feature)
        return sum(number not in row.features for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether the sample holds every event that was offered."""
        return self.offered == len(self.rows)


class Share(NamedTuple):
    """Share of a sample."""

    events: int
    total: int

    @property
    def share(self) -> float:
        """Number from 0 to 1; 0 for an empty sample."""
        return self.events / self.total if self.total else 0.0

    def interval(self) -> tuple[float, float]:
        """Wilson's bounds of the share in the group that the sample was taken from."""
        if not self.total:
            return 0.0, 1.0
        p, n, z = self.share, self.total, _Z
        middle = p + z * z / (2 * n)
        spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


class Finding(NamedTuple):
    """Something that dead letters have, or lack, more often than good events."""

    feature: Feature
    lacks: bool
    """Whether the dead letters have in common that they lack the feature."""
    dead_letters: Share
    baseline: Share
    """Share of an empty sample when there is nothing to compare with."""
    difference: float
    """Lower bound of the difference of the shares, at a confidence of 99 %."""
    first: int
    """Time when the first of these dead letters failed, in epoch milliseconds."""
    sample: str
    """`partition/offset` of that dead letter."""


def contrast(
    dead_letters: GroupSample,
    baseline: GroupSample,
    *,
    most: int = MOST_FINDINGS,
    without: Collection[str] = (),
) -> list[Finding]:
    """Find the features with the largest difference, the largest first.

    Both samples share one vocabulary. The measure is the lower bound of the difference at a
    confidence of 99 % (Newcombe's interval of two shares), so that features which a few dead
    letters happen to have do not win. Of features that the same dead letters have, those that come
    with a stronger one in good events, too, are left out. `without` names kinds of features that
    are not compared.
    """
    comparison = _Comparison(dead_letters, baseline)
    found = [
        one
        for one in comparison.findings()
        if one.difference > _LEAST_DIFFERENCE and one.feature.about not in without
    ]
    found.sort(key=lambda one: (-one.difference, -len(one.feature.text), one.feature))
    return comparison.distinct(found[:_CANDIDATES], most)


def common(dead_letters: GroupSample, *, most: int = MOST_FINDINGS) -> list[Finding]:
    """Find what most dead letters have, when there is nothing to compare with.

    Members and their types are left out: any event of one name has most of them.
    """
    comparison = _Comparison(dead_letters, GroupSample(0, dead_letters.vocabulary))
    found = [
        one
        for one in comparison.findings()
        if one.dead_letters.share >= _COMMON
        and one.feature.value
        and one.feature.about not in {MEMBER, TYPE}
    ]
    found.sort(key=lambda one: (-one.dead_letters.events, -len(one.feature.text), one.feature))
    return comparison.distinct(found[:_CANDIDATES], most)


class _Comparison:
    def __init__(self, dead_letters: GroupSample, baseline: GroupSample) -> None:
        self._features = dead_letters.vocabulary.features
        self._number_of = dead_letters.vocabulary.number_of
        self._dead_letters = dead_letters.rows
        self._baseline = baseline.rows
        self._in_dead_letters = Counter(
            number for row in dead_letters.rows for number in row.features
        )
        self._in_baseline = Counter(number for row in baseline.rows for number in row.features)

    def findings(self) -> Iterator[Finding]:
        """Every feature that dead letters have, and members that they may lack, without dates."""
        for number in self._in_dead_letters:
            if self._features[number].about != HOLDER:
                yield self._finding(number, lacks=False)
        # That an event or page is absent says nothing; that a property is missing does.
        for number in self._in_baseline:
            if self._features[number].about == MEMBER:
                yield self._finding(number, lacks=True)

    def _finding(self, number: int, *, lacks: bool) -> Finding:
        feature = self._features[number]
        holder = self._number_of.get(feature.holder, number) if lacks else number
        counts = []
        for counter, rows in (
            (self._in_dead_letters, self._dead_letters),
            (self._in_baseline, self._baseline),
        ):
            events = counter[holder] - counter[number] if lacks else counter[number]
            counts.append(Share(events, len(rows)))
        dead_letters, baseline = counts
        return Finding(
            feature, lacks, dead_letters, baseline, _least_difference(dead_letters, baseline), 0, ""
        )

    def distinct(self, found: Iterable[Finding], most: int) -> list[Finding]:
        """The first `most` findings that no earlier one implies, with their first dead letters."""
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
                for rows in (self._dead_letters, self._baseline)
            )
        )

    def _dated(self, finding: Finding, having: _Having) -> Finding:
        first = min(
            (self._dead_letters[i] for i in having.dead_letters), key=lambda r: r.time or math.inf
        )
        return finding._replace(first=first.time, sample=first.position)


class _Having(NamedTuple):
    """Indexes of the events to which a finding applies."""

    dead_letters: frozenset[int]
    baseline: frozenset[int]


def _implies(stronger: tuple[Finding, _Having], weaker: tuple[Finding, _Having]) -> bool:
    """Whether the weaker finding is about the same dead letters and comes with the stronger one."""
    (one, having), (other, other_having) = stronger, weaker
    same = len(having.dead_letters & other_having.dead_letters)
    if same < _SAME * len(having.dead_letters | other_having.dead_letters):
        return False
    if one.feature.generalises(other.feature) or other.feature.generalises(one.feature):
        return True
    together = len(having.baseline & other_having.baseline)
    return len(having.baseline) >= _ENOUGH and together >= _SAME * len(having.baseline)


def _least_difference(dead_letters: Share, baseline: Share) -> float:
    """Lower bound of Newcombe's hybrid score interval of `dead_letters - baseline`."""
    lower, _ = dead_letters.interval()
    _, upper = baseline.interval()
    difference = dead_letters.share - baseline.share
    return difference - math.hypot(dead_letters.share - lower, upper - baseline.share)
