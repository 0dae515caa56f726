"""Properties, context, integrations and traits (contract §3 and §4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import enrich, good, reject, warnings


@pytest.mark.parametrize("name", ["properties", "context", "integrations"])
def test_empty_array_counts_as_object(name: str) -> None:
    """PHP writes an empty object as []: read as {}, with a warning."""
    event = enrich(good(**{name: []}))
    assert event[name] == {}
    assert warnings(event) == [f"empty_array_for_object /{name}"]


def test_properties_and_context_are_always_objects() -> None:
    """Absent or null, both are {} in the output; integrations are not made up."""
    for absent in (good(), good(properties=None, context=None, integrations=None)):
        event = enrich(absent)
        assert (event["properties"], event["context"]) == ({}, {})
        assert not event.get("integrations")


def test_free_properties_are_untouched() -> None:
    """All that is not reserved stays as sent: null, blank, nested, in its order."""
    properties: dict[str, Any] = {
        "b": None,
        "a": "",
        "nested": {"revenue": "x", "currency": 1},
        "list": [[], {}],
    }
    event = enrich(good(properties=properties))
    assert event["properties"] == properties
    assert list(event["properties"]) == list(properties)


CONTEXT_TYPES = {
    "active": True,
    "app": {},
    "campaign": {},
    "channel": "server",
    "device": {},
    "groupId": "g",
    "ip": "::1",
    "library": {},
    "locale": "en-US",
    "network": {},
    "os": {},
    "page": {},
    "referrer": {},
    "screen": {},
    "timezone": "Europe/Paris",
    "userAgent": "UA",
    "userAgentData": {},
}


@pytest.mark.parametrize("name", CONTEXT_TYPES)
def test_context_fields_of_another_type(name: str) -> None:
    """Each field of the specification's table: right and null pass, all else is warned about."""
    expected = CONTEXT_TYPES[name]
    for fine in (expected, None):
        assert warnings(enrich(good(context={name: fine}))) == []
    wrong: list[object] = [5, [1], {} if isinstance(expected, str | bool) else "x"]
    wrong.append("true" if isinstance(expected, bool) else True)
    for value in wrong:
        event = enrich(good(context={name: value}))
        assert event["context"] == {name: value}
        assert warnings(event) == [f"context_field_type /context/{name}"]
        dead_letter = reject(good(context={name: value}), rules={"context_field_type": "reject"})
        assert dead_letter.broken == [f"context_field_type /context/{name}"]


def test_traits_are_promoted() -> None:
    """`context.traits` stand at the top as well, and stay where they were."""
    event = enrich(good(context={"traits": {"plan": "pro"}, "ip": "::1"}))
    assert event["traits"] == {"plan": "pro"}
    assert event["context"] == {"traits": {"plan": "pro"}, "ip": "::1"}
    assert warnings(event) == []


@pytest.mark.parametrize("context", [{}, {"traits": {}}, {"traits": None}])
def test_empty_traits_are_not_promoted(context: dict[str, Any]) -> None:
    """Empty or absent traits are not promoted."""
    assert "traits" not in enrich(good(context=context))


@pytest.mark.parametrize("traits", ["x", 5, True, [1]])
def test_traits_that_are_not_an_object(traits: object) -> None:
    """Such traits are not promoted, with a warning, or rejected by rule."""
    event = enrich(good(context={"traits": traits}))
    assert "traits" not in event
    assert event["context"]["traits"] == traits
    assert warnings(event) == ["traits_not_object /context/traits"]
    dead_letter = reject(good(context={"traits": traits}), rules={"traits_not_object": "reject"})
    assert dead_letter.broken == ["traits_not_object /context/traits"]


def test_top_level_traits_lie_below() -> None:
    """`context.traits` wins per key; a difference is a warning, agreement is none."""
    context = {"traits": {"plan": "pro", "age": 5}}
    event = enrich(good(traits={"plan": "pro", "city": "Bonn"}, context=context))
    assert event["traits"] == {"plan": "pro", "age": 5, "city": "Bonn"}
    assert warnings(event) == []
    event = enrich(good(traits={"plan": "free"}, context=context))
    assert event["traits"] == {"plan": "pro", "age": 5}
    assert warnings(event) == ["traits_conflict /traits"]


@pytest.mark.parametrize(("below", "above"), [(1, True), (0, False), ("1", 1), (None, 0)])
def test_traits_that_differ_in_type_conflict(below: object, above: object) -> None:
    """Values of different JSON types differ, whatever they are worth in Python."""
    event = enrich(good(traits={"a": below}, context={"traits": {"a": above}}))
    assert event["traits"] == {"a": above}
    assert warnings(event) == ["traits_conflict /traits"]


def test_traits_in_another_order_do_not_conflict() -> None:
    """The order of an object's members is no difference."""
    below, above = {"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}
    assert warnings(enrich(good(traits=below, context={"traits": above}))) == []


@pytest.mark.parametrize("traits", ["x", 5, [1], {}, {"a": 1}])
def test_top_level_traits_alone_stay(traits: object) -> None:
    """Without context.traits whatever stands at the top stays as sent."""
    event = enrich(good(traits=traits))
    assert event["traits"] == traits
    assert warnings(event) == []


def test_promoted_traits_replace_a_scalar() -> None:
    """A top-level traits that is no object gives way, with a warning."""
    event = enrich(good(traits="x", context={"traits": {"a": 1}}))
    assert event["traits"] == {"a": 1}
    assert warnings(event) == ["traits_conflict /traits"]
