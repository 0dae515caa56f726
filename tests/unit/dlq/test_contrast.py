"""What letters have in common that good events do not."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.dlq.contrast import Finding, Sample, Seen, Share, Vocabulary, common, contrast
from pipeline.dlq.features import Feature
from tests.unit.dlq.letters import NOW


def _samples(
    letters: Sequence[set[Feature]], good: Sequence[set[Feature]]
) -> tuple[Sample, Sample]:
    vocabulary = Vocabulary()
    samples = Sample(10_000, vocabulary), Sample(10_000, vocabulary)
    for sample, all_features in zip(samples, (letters, good), strict=True):
        for number, features in enumerate(all_features):
            seen = Seen(features, NOW + number, f"0/{number}")
            sample.offer(lambda seen=seen: seen)  # type: ignore[misc]
    return samples


def _said(findings: Sequence[Finding]) -> list[tuple[str, bool]]:
    return [(finding.feature.text, finding.lacks) for finding in findings]


def _library(text: str) -> set[Feature]:
    name, _, version = text.partition(" ")
    return {Feature("library", name), Feature("library version", name, version)}


def test_largest_difference_first() -> None:
    """What nearly all letters and few good events have comes first, with its shares and first."""
    letters = [_library("android 4.2")] * 98 + [_library("ios 1")] * 2
    good = [_library("android 4.2")] * 60 + [_library("ios 1")] * 940
    (finding,) = contrast(*_samples(letters, good))
    assert _said([finding]) == [("android 4.2", False)]
    assert (finding.letters, finding.good) == (Share(98, 100), Share(60, 1000))
    assert (finding.first, finding.sample) == (NOW, "0/0")


def test_tiny_samples_do_not_win() -> None:
    """What one letter or few of many happen to have is no finding, however rare it is elsewhere."""
    good = [_library("ios 1")] * 1000
    assert contrast(*_samples([_library("android 4.2")], good)) == []
    rare = [{Feature("event", "A")}] * 30 + [{Feature("event", "A"), *_library("x 1")}] * 3
    assert contrast(*_samples(rare, [{Feature("event", "A")}] * 1000)) == []


def test_same_in_both_is_no_finding() -> None:
    """Letters that are like good events have nothing to tell."""
    both = [_library("android 4.2")] * 500 + [_library("ios 1")] * 500
    assert contrast(*_samples(both, both)) == []


def test_implied_features_are_left_out() -> None:
    """A library follows from its version, and what comes with it in good events too, from it."""
    app, event = Feature("app version", "7"), Feature("event", "A")
    letters = [_library("android 4.2") | {app, event}] * 100
    good = [_library("android 4.2") | {app}] * 50
    good += [_library("android 4.1")] * 300 + [_library("ios 1") | {event}] * 300
    found = _said(contrast(*_samples(letters, good)))
    assert found == [("android 4.2", False), ("A", False)]


def test_missing_property() -> None:
    """A property that good events have and letters lack is a finding; elsewhere it is not."""
    holder, member = Feature("holder", "/properties"), Feature("member", "/properties/currency")
    letters = [{holder}] * 50 + [set[Feature]()] * 50
    (finding,) = contrast(*_samples(letters, [{holder, member}] * 900 + [{holder}] * 100))
    assert _said([finding]) == [("/properties/currency", True)]
    # Half of the letters can't be read: nothing is known to be missing in them.
    assert (finding.letters.share, finding.good.share) == (0.5, 0.1)


def test_most_and_without() -> None:
    """At most so many findings, and none of the kinds that are not compared."""
    letters = [{Feature("event", "A"), Feature("hour", "h"), Feature("host", "x")}] * 100
    good = [{Feature("event", "B")}] * 100
    assert len(contrast(*_samples(letters, good))) == 3
    assert len(contrast(*_samples(letters, good), most=2)) == 2
    found = contrast(*_samples(letters, good), without={"hour"})
    assert {finding.feature.about for finding in found} == {"event", "host"}


def test_common() -> None:
    """Without good events there is only what most of the letters have."""
    member = Feature("member", "/properties/revenue")
    letters = [_library("android 4.2") | {member}] * 60 + [_library("ios 1")] * 40
    sample, _ = _samples(letters, [])
    assert _said(common(sample)) == [("android 4.2", False)]


def test_sample_is_bounded_and_fair() -> None:
    """It holds so many and no more; early and late events have the same chance."""
    sample = Sample(500, Vocabulary())
    for number in range(10_000):
        sample.offer(lambda number=number: Seen([], number, ""))  # type: ignore[misc]
    assert (sample.offered, len(sample.rows), sample.is_whole) == (10_000, 500, False)
    early = sum(row.time < 5000 for row in sample.rows)
    assert 200 < early < 300


def test_sample_looks_only_at_what_it_keeps() -> None:
    """Of a million events few are decoded."""
    looked: list[int] = []

    def look() -> Seen:
        looked.append(1)
        return Seen([], 0, "")

    sample = Sample(100, Vocabulary())
    for _ in range(10_000):
        sample.offer(look)
    assert 100 < len(looked) < 1000


def test_same_again() -> None:
    """The same input gives the same findings in the same order."""
    letters = [_library(f"a {n % 7}") | {Feature("event", str(n % 3))} for n in range(300)]
    good = [_library(f"b {n % 5}") for n in range(300)]
    first, second = (contrast(*_samples(letters, good)) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first
