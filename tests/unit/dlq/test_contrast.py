"""What dead letters have in common that good events do not."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.dlq.contrast import (
    Finding,
    GroupSample,
    Observation,
    Share,
    Vocabulary,
    common,
    contrast,
)
from pipeline.dlq.features import Feature
from tests.unit.dlq.dead_letters import NOW


def _samples(
    dead_letters: Sequence[set[Feature]], baseline: Sequence[set[Feature]]
) -> tuple[GroupSample, GroupSample]:
    vocabulary = Vocabulary()
    samples = GroupSample(10_000, vocabulary), GroupSample(10_000, vocabulary)
    for sample, all_features in zip(samples, (dead_letters, baseline), strict=True):
        for number, features in enumerate(all_features):
            seen = Observation(features, NOW + number, f"0/{number}")
            sample.offer(lambda seen=seen: seen)  # type: ignore[misc]
    return samples


def _said(findings: Sequence[Finding]) -> list[tuple[str, bool]]:
    return [(finding.feature.text, finding.lacks) for finding in findings]


def _library(text: str) -> set[Feature]:
    name, _, version = text.partition(" ")
    return {Feature("library", name), Feature("library version", name, version)}


def test_largest_difference_first() -> None:
    """What nearly all dead letters and few good events have comes first, with its shares."""
    dead_letters = [_library("android 4.2")] * 98 + [_library("ios 1")] * 2
    baseline = [_library("android 4.2")] * 60 + [_library("ios 1")] * 940
    (finding,) = contrast(*_samples(dead_letters, baseline))
    assert _said([finding]) == [("android 4.2", False)]
    assert (finding.dead_letters, finding.baseline) == (Share(98, 100), Share(60, 1000))
    assert (finding.first, finding.sample) == (NOW, "0/0")


def test_tiny_samples_do_not_win() -> None:
    """What one dead letter or few of many happen to have is no finding, however rare it is."""
    baseline = [_library("ios 1")] * 1000
    assert contrast(*_samples([_library("android 4.2")], baseline)) == []
    rare = [{Feature("event", "A")}] * 30 + [{Feature("event", "A"), *_library("x 1")}] * 3
    assert contrast(*_samples(rare, [{Feature("event", "A")}] * 1000)) == []


def test_same_in_both_is_no_finding() -> None:
    """Dead letters that are like good events give no findings."""
    both = [_library("android 4.2")] * 500 + [_library("ios 1")] * 500
    assert contrast(*_samples(both, both)) == []


def test_implied_features_are_left_out() -> None:
    """A library follows from its version, and so does what comes with it in good events, too."""
    app, event = Feature("app version", "7"), Feature("event", "A")
    dead_letters = [_library("android 4.2") | {app, event}] * 100
    baseline = [_library("android 4.2") | {app}] * 50
    baseline += [_library("android 4.1")] * 300 + [_library("ios 1") | {event}] * 300
    found = _said(contrast(*_samples(dead_letters, baseline)))
    assert found == [("android 4.2", False), ("A", False)]


def test_missing_property_is_a_finding() -> None:
    """A property that good events have and dead letters lack is a finding."""
    holder, member = Feature("holder", "/properties"), Feature("member", "/properties/currency")
    dead_letters = [{holder}] * 50 + [set[Feature]()] * 50
    (finding,) = contrast(*_samples(dead_letters, [{holder, member}] * 900 + [{holder}] * 100))
    assert _said([finding]) == [("/properties/currency", True)]
    # Half of the dead letters can't be read: nothing is known to be missing in them.
    assert (finding.dead_letters.share, finding.baseline.share) == (0.5, 0.1)


def test_most_and_without() -> None:
    """There are at most so many findings, and none of the kinds that are excluded."""
    dead_letters = [{Feature("event", "A"), Feature("hour", "h"), Feature("host", "x")}] * 100
    baseline = [{Feature("event", "B")}] * 100
    assert len(contrast(*_samples(dead_letters, baseline))) == 3
    assert len(contrast(*_samples(dead_letters, baseline), most=2)) == 2
    found = contrast(*_samples(dead_letters, baseline), without={"hour"})
    assert {finding.feature.about for finding in found} == {"event", "host"}


def test_features_in_common() -> None:
    """Without good events there are only features that most dead letters have."""
    member = Feature("member", "/properties/revenue")
    dead_letters = [_library("android 4.2") | {member}] * 60 + [_library("ios 1")] * 40
    sample, _ = _samples(dead_letters, [])
    assert _said(common(sample)) == [("android 4.2", False)]


def test_sample_is_bounded_and_fair() -> None:
    """A sample is bounded, and early and late events have the same chance."""
    sample = GroupSample(500, Vocabulary())
    for number in range(10_000):
        sample.offer(lambda number=number: Observation([], number, ""))  # type: ignore[misc]
    assert (sample.offered, len(sample.rows), sample.is_whole) == (10_000, 500, False)
    early = sum(row.time < 5000 for row in sample.rows)
    assert 200 < early < 300


def test_sample_looks_only_at_what_it_keeps() -> None:
    """Of a million events few are decoded."""
    looked: list[int] = []

    def look() -> Observation:
        looked.append(1)
        return Observation([], 0, "")

    sample = GroupSample(100, Vocabulary())
    for _ in range(10_000):
        sample.offer(look)
    assert 100 < len(looked) < 1000


def test_same_input_same_findings() -> None:
    """Equal input gives equal findings in the same order."""
    dead_letters = [_library(f"a {n % 7}") | {Feature("event", str(n % 3))} for n in range(300)]
    baseline = [_library(f"b {n % 5}") for n in range(300)]
    first, second = (contrast(*_samples(dead_letters, baseline)) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first
