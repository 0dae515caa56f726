"""What can be told of an event at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.dlq.features import READABLE, Feature, of_dead_letter, of_enriched
from pipeline.dlq.header_formats import read_dead_letter
from tests.hostile import HOSTILE
from tests.unit.dlq.dead_letters import (
    IDENTITY,
    NOW,
    SETTINGS,
    crashed,
    dead_letter_of,
    enriched,
    raw,
)
from tests.unit.dlq.foreign import FOREIGN
from tests.unit.dlq.foreign import dead_letter_of as foreign_dead_letter


def _event(library: str = "ios 1.0", **properties: Any) -> dict[str, Any]:
    name, _, version = library.partition(" ")
    context = {
        "library": {"name": name, "version": version},
        "app": {"version": "7"},
        "page": {"url": "https://shop.example/cart?q=1"},
    }
    return {"event": "Order", "userId": "u1", "context": context, "properties": properties}


def test_good_event_without_a_usable_time() -> None:
    """A timestamp in microseconds gives no hour."""
    record = enriched({"event": "E", "userId": "u"})
    found = of_enriched(record._replace(timestamp=2**62))
    assert found is not None
    assert "hour" not in {feature.about for feature in found}


def test_features_of_a_dead_letter() -> None:
    """Everything that is compared is read from a dead letter, as it was sent."""
    dead_letter = dead_letter_of(_event(revenue="x", plan=None, tags=["a"]))
    found = of_dead_letter(dead_letter)
    assert {(feature.about, feature.text) for feature in found} == {
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


def test_names_that_look_like_the_text_around_them() -> None:
    """What a sender writes is a value, and is never parsed out of a sentence."""
    name = "a is an object /b ~"
    found = of_dead_letter(
        dead_letter_of(_event("sdk 1 is 2", **{name: 5, "b": [], "revenue": "x"}))
    )
    pointer = "/properties/a is an object ~1b ~0"
    assert {
        Feature("type", pointer, "a number"),
        Feature("type", "/properties/b", "an array"),
    } <= found
    assert Feature("member", pointer).holder == Feature("holder", "/properties")
    assert Feature("library version", "sdk", "1 is 2") in found
    assert not Feature("library", "sdk 1").generalises(Feature("library version", "sdk", "1 is 2"))
    assert not Feature("host", "a.co").generalises(Feature("page", "a.com", "/"))
    assert Feature("host", "a.com").generalises(Feature("page", "a.com", "/"))


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
def test_good_events_are_described_as_they_were_sent(event: dict[str, Any]) -> None:
    """A good event and a dead letter of the same event have the same features."""
    baseline = of_enriched(enriched(event))
    lacking = {} if event.get("properties") is not None else {Feature("holder", "/properties")}
    spoiled = dead_letter_of({**event, "type": "page"})
    assert baseline is not None
    assert baseline - {*lacking} == of_dead_letter(spoiled)


def test_what_is_no_enriched_event() -> None:
    """Records that are not objects are no good events; a broken enrichment does no harm."""
    record = enriched(_event())
    assert of_enriched(record._replace(value=b"[]")) is None
    assert of_enriched(record._replace(value=None)) is None
    forged = b'{"event":"A","enrichment":{"warnings":[1,"number_from_string"]}}'
    assert READABLE in (of_enriched(record._replace(value=forged, headers=())) or ())
    assert READABLE in (of_enriched(record._replace(value=b'{"enrichment":7}')) or ())


def test_unreadable_dead_letters_have_features() -> None:
    """Source and time are known without a value; what killed a process is not decoded."""
    for dead_letter in (dead_letter_of(b"{"), crashed(_event())):
        assert {feature.about for feature in of_dead_letter(dead_letter)} == {
            "raw partition",
            "hour",
        }


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: row.name)
def test_hostile_dead_letters(row: Any) -> None:
    """Features can be read from any record."""
    outputs = Processor(SETTINGS, IDENTITY).process(raw(b"")._replace(value=row.value), NOW)
    for output in outputs:
        record = Record(output.value, output.key, output.headers, NOW, "dead", 0, 0)
        assert of_dead_letter(read_dead_letter(record))
        assert output.role is Role.DEAD_LETTER or of_enriched(record)


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_foreign_dead_letters(foreign: Any) -> None:
    """Dead letters of other systems have features, too."""
    assert Feature("event", "e") in of_dead_letter(foreign_dead_letter(foreign.added))
