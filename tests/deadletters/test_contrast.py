"""What letters have in common that good events do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record, Role
from pipeline.deadletters.contrast import (
    Finding,
    Sample,
    Seen,
    Share,
    Vocabulary,
    common,
    contrast,
)
from pipeline.deadletters.dialects import read_letter
from pipeline.deadletters.features import READABLE, Feature, of_good, of_letter
from pipeline.deadletters.good_sample import (
    MARGIN,
    Compared,
    GoodEvents,
    around,
    like,
    newest,
    spread,
)
from pipeline.deadletters.selection import Selection
from pipeline.ports import Ranges
from pipeline.progress import Progress
from pipeline.window import Window
from tests.deadletters.foreign import FOREIGN
from tests.deadletters.foreign import letter_of as foreign_letter
from tests.deadletters.letters import IDENTITY, NOW, SETTINGS, letter_of, raw
from tests.hostile import HOSTILE

LENIENT: Final = ContractSettings.model_validate(
    {"rules": dict.fromkeys(("revenue_invalid", "currency_invalid"), "warn")}
)


def _event(library: str = "ios 1.0", **properties: Any) -> dict[str, Any]:
    name, _, version = library.partition(" ")
    context = {
        "library": {"name": name, "version": version},
        "app": {"version": "7"},
        "page": {"url": "https://shop.example/cart?q=1"},
    }
    return {"event": "Order", "userId": "u1", "context": context, "properties": properties}


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
    return [(finding.feature.value, finding.lacks) for finding in findings]


def _library(version: str) -> set[Feature]:
    name = version.partition(" ")[0]
    return {Feature("library", name), Feature("library version", version)}


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


def test_features_of_a_letter() -> None:
    """Everything that is compared is read from a letter, as it was sent."""
    letter = letter_of(_event(revenue="x", plan=None, tags=["a"]))
    found = of_letter(letter)
    assert {tuple(feature) for feature in found} == {
        ("raw partition", "raw/2"),
        ("hour", "2027-01-15T07:00Z"),
        ("event", "Order"),
        ("library", "ios"),
        ("library version", "ios 1.0"),
        ("app version", "7"),
        ("host", "shop.example"),
        ("page", "shop.example/cart"),
        ("holder", ""),
        ("holder", "/properties"),
        ("member", "/userId"),
        ("type", "/userId is text"),
        ("member", "/properties/revenue"),
        ("type", "/properties/revenue is text"),
        ("member", "/properties/tags"),
        ("type", "/properties/tags is an array"),
    }


def _enriched(event: dict[str, Any], settings: ContractSettings = SETTINGS) -> Record:
    record = raw(event)
    outputs = Processor(settings, IDENTITY).process(record, NOW)
    (good,) = (output for output in outputs if output.role is Role.ENRICHED)
    return Record(good.value, good.key, good.headers, good.timestamp, "enriched", 0, 0)


@pytest.mark.parametrize(
    "event",
    [
        _event(revenue="19.99", currency=" eur ", coupon=""),
        _event(revenue=5),
        _event(revenue=5, currency=None, plan=None, note=" "),
        {"event": "A", "userId": 17, "anonymousId": " "},
        {"event": "A", "userId": "u", "properties": None, "context": {"page": {"url": ":"}}},
        {"event": "A", "userId": "u", "properties": {"total": 1.5, "ok": True, "of": {}}},
    ],
)
def test_good_events_are_told_as_they_were_sent(event: dict[str, Any]) -> None:
    """A good event and a letter of the same event have the same features."""
    good = of_good(_enriched(event))
    lacking = {} if event.get("properties") is not None else {Feature("holder", "/properties")}
    spoiled = letter_of({**event, "type": "page"})
    assert good is not None
    assert good - {*lacking} == of_letter(spoiled)


def test_what_is_no_enriched_event() -> None:
    """Records that are no objects are no good events; an enrichment that is none does no harm."""
    record = _enriched(_event())
    assert of_good(record._replace(value=b"[]")) is None
    assert of_good(record._replace(value=None)) is None
    forged = b'{"event":"A","enrichment":{"warnings":[1,"number_from_string"]}}'
    assert READABLE in (of_good(record._replace(value=forged, headers=())) or ())
    assert READABLE in (of_good(record._replace(value=b'{"enrichment":7}')) or ())


def test_letters_that_cannot_be_read() -> None:
    """Their place and time are known; what has killed a process is not decoded."""
    processor = Processor(SETTINGS, IDENTITY)
    out = processor.set_aside(raw(_event()), NOW, Reason.PROCESSING_ERROR, Stage.CRASH, "died")
    crashed = read_letter(Record(out.value, out.key, out.headers, NOW, "dead", 0, 0))
    for letter in (letter_of(b"{"), crashed):
        assert {feature.about for feature in of_letter(letter)} == {"raw partition", "hour"}


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: row.name)
def test_hostile_letters(row: Any) -> None:
    """Whatever a record holds, its features can be told."""
    outputs = Processor(SETTINGS, IDENTITY).process(raw(b"")._replace(value=row.value), NOW)
    for output in outputs:
        record = Record(output.value, output.key, output.headers, NOW, "dead", 0, 0)
        assert of_letter(read_letter(record))
        assert output.role is Role.DEAD_LETTER or of_good(record)


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_foreign_letters(foreign: Any) -> None:
    """Letters of other systems have features too."""
    assert Feature("event", "e") in of_letter(foreign_letter(foreign.added))


def test_like() -> None:
    """Events of the names and libraries that letters were selected by."""
    android = {Feature("event", "A"), *_library("android 4.2")}
    is_like = like(Selection(events=frozenset({"A"}), libraries=frozenset({"android/4.2"})))
    assert is_like(android)
    assert not is_like({Feature("event", "B"), *_library("android 4.2")})
    assert not is_like({Feature("event", "A"), *_library("android 4.1")})
    assert like(Selection(libraries=frozenset({"android"})))(android)
    assert like(Selection())(set())


class _Topic:
    """An enriched topic in memory: one event a second in each partition."""

    def __init__(self, partitions: int, events: int) -> None:
        self.partitions = {
            number: [
                _enriched(_event())._replace(timestamp=NOW + 1000 * i, partition=number, offset=i)
                for i in range(events)
            ]
            for number in range(partitions)
        }
        self.read_records = 0

    def extents(self, topic: str) -> dict[int, tuple[int, int]]:
        """See `good_sample.Offsets`."""
        del topic
        return {number: (0, len(records)) for number, records in self.partitions.items()}

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """See `good_sample.Offsets`."""
        del topic
        found = {}
        for number, records in self.partitions.items():
            later = [r.offset for r in records if (r.timestamp or 0) >= time_ms]
            if later:
                found[number] = later[0]
        return found

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """See `ports.Reader`."""
        for (_, number), (first, end) in ranges.items():
            for record in self.partitions[number][first:end]:
                self.read_records += 1
                yield record


def _filled(topic: _Topic, window: Window) -> tuple[Sample, Compared]:
    sample = Sample(10_000, Vocabulary())
    return sample, GoodEvents(topic, topic, "enriched").fill(sample, window)


def test_good_events_of_the_same_time() -> None:
    """Those within the window of all partitions, and no others."""
    sample, compared = _filled(_Topic(2, 100), Window(NOW + 10_000, NOW + 20_000))
    assert compared is Compared.SAME_TIME
    assert sorted({row.time for row in sample.rows}) == [NOW + 1000 * i for i in range(10, 20)]
    assert len(sample.rows) == 20


def test_good_events_from_before() -> None:
    """Where all events of a time have failed, those before it are what is left."""
    sample, compared = _filled(_Topic(2, 100), Window(NOW + 200_000, NOW + 300_000))
    assert compared is Compared.EARLIER
    assert len(sample.rows) == 200
    assert _filled(_Topic(2, 100), Window(0, NOW - 1))[1] is Compared.NONE
    assert _filled(_Topic(0, 0), Window(0, NOW))[1] is Compared.NONE


def test_reading_is_bounded() -> None:
    """However much there is, about so many records are read, and progress is told to its end."""
    topic, told = _Topic(3, 8000), list[Progress]()
    sample = Sample(10_000, Vocabulary())
    window = Window(NOW, NOW + 9_000_000)
    GoodEvents(topic, topic, "enriched").fill(sample, window, on_progress=told.append)
    assert 9_000 < topic.read_records <= 10_000 + 3 * 8
    assert (told[-1].done, told[-1].total) == (topic.read_records, topic.read_records)
    places = {int(row.place.partition("/")[2]) // 1000 for row in sample.rows}
    assert places == set(range(8))


def test_spread() -> None:
    """Everything when that is little; else slices in proportion to the partitions' lengths."""
    extents = {0: (100, 900), 1: (5, 5), 2: (0, 200)}
    assert spread("t", extents, 1000) == [
        {("t", 0): (100, 900), ("t", 1): (5, 5), ("t", 2): (0, 200)}
    ]
    parts = spread("t", extents, 100)
    sizes = {n: sum(part["t", n][1] - part["t", n][0] for part in parts) for n in extents}
    assert sizes == {0: 80, 1: 0, 2: 24}
    assert all(100 <= part["t", 0][0] <= part["t", 0][1] <= 900 for part in parts)
    assert newest("t", extents, 30) == [
        {("t", 0): (890, 900), ("t", 1): (5, 5), ("t", 2): (190, 200)}
    ]


def test_around() -> None:
    """The time of letters has a margin on both sides."""
    assert around(NOW, NOW) == Window(NOW - MARGIN, NOW + MARGIN + 1)


def test_sentences_of_json_are_the_same_again() -> None:
    """The same input gives the same findings in the same order."""
    letters = [_library(f"a {n % 7}") | {Feature("event", str(n % 3))} for n in range(300)]
    good = [_library(f"b {n % 5}") for n in range(300)]
    first, second = (contrast(*_samples(letters, good)) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first
