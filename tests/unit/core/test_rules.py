"""Rules that need more than one field, and each rule set to its other verdict (contract §3)."""

from __future__ import annotations

import pytest

from pipeline.core.record import Role
from tests.support import enrich, good, only, outcomes, process, reject, warnings


def test_a_good_event_gives_no_warning() -> None:
    """The event that these tests start from is enriched without a remark."""
    assert enrich(good())["enrichment"] == {"timestampSource": "original"}


def test_all_violations_are_reported() -> None:
    """Every broken rule is named, not only the first."""
    dead_letter = reject('{"event":7,"properties":[1],"context":"x","integrations":false}')
    assert sorted(dead_letter.broken) == [
        "context_not_object /context",
        "event_not_string /event",
        "integrations_not_object /integrations",
        "no_user_anon_id",
        "properties_not_object /properties",
    ]


def test_all_money_violations_are_reported() -> None:
    """Revenue, value and currency are each judged, also when another one is wrong."""
    properties = {"revenue": "x", "value": True, "currency": "euro"}
    dead_letter = reject(good(properties=properties), rules={"value_invalid": "reject"})
    assert sorted(dead_letter.broken) == [
        "currency_invalid /properties/currency",
        "revenue_invalid /properties/revenue",
        "value_invalid /properties/value",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("user_id", "userId"),
        ("userID", "userId"),
        ("UserId", "userId"),
        ("anonymous_id", "anonymousId"),
        ("annonymousId", "anonymousId"),
    ],
)
def test_near_id_names_are_pointed_out(name: str, meant: str) -> None:
    """A missing id next to a similar name gives a suggestion."""
    (reason,) = reject(good(userId=..., **{name: "zq9"})).reasons
    assert reason["code"] == "no_user_anon_id"
    assert f"did you mean {meant}?" in reason["detail"]
    assert "zq9" not in reason["detail"]


def test_no_near_name_no_question() -> None:
    """Nothing is asked when no field looks like an id."""
    assert "did you mean" not in reject(good(userId=...)).reasons[0]["detail"]


def test_other_calls_have_no_other_violation() -> None:
    """An identify call has no event and no properties: it is not a track call that is wrong."""
    for event in ({"type": "identify", "userId": 5}, {"action": "page", "event": 7}):
        assert [reason["code"] for reason in reject(event).reasons] == ["unsupported_type"]


@pytest.mark.parametrize("type_", ["Track", "TRACK", " track ", "", " "])
def test_spelling_of_track_never_drops_an_event(type_: str) -> None:
    """An event whose type means track is enriched where other calls are dropped."""
    event = enrich(good(type=type_), on_other_type="drop")
    assert event["type"] == "track"
    expected = ["type_normalised /type"] if type_.strip() else []
    assert warnings(event) == expected


def test_action_in_another_spelling() -> None:
    """The older field is read like `type`, and kept as it was sent."""
    event = enrich(good(type="", action="Track"))
    assert (event["type"], event["action"]) == ("track", "Track")
    assert warnings(event) == ["type_normalised /action"]


def test_rounding_is_warned_about_on_request() -> None:
    """Sums of floats have many decimals; who fills a typed column may want to know."""
    event = good(properties={"revenue": 0.30000000000000004, "value": 1.5, "currency": "EUR"})
    assert warnings(enrich(event)) == []
    assert warnings(enrich(event, warn_more_than_nine_decimals=True)) == [
        "more_than_nine_decimals /properties/revenue"
    ]


@pytest.mark.parametrize("action", ["page", "identify", "tracks"])
def test_older_action_field_counts_as_type(action: str) -> None:
    """Without a type, a string `action` says which call it is."""
    dead_letter = reject(good(type=..., action=action))
    assert [reason["code"] for reason in dead_letter.reasons] == ["unsupported_type"]
    # A misspelt call is rejected whatever that setting is.
    assert ("on_other_type" in dead_letter.reasons[0]["detail"]) == (action != "tracks")


def test_type_counts_before_action() -> None:
    """Beside a type, `action` is a field like any other, and kept."""
    assert enrich(good(type="track", action="page"))["action"] == "page"


def test_other_types_can_be_dropped() -> None:
    """With `on_other_type` drop the record is only counted; track events are untouched by it."""
    output = only(process(good(type="page"), on_other_type="drop"), Role.DROPPED)
    assert (output.reason, output.value) == ("unsupported_type", None)
    assert outcomes(process(good(type="identify", event=...), on_other_type="drop")) == (
        "unsupported_type",
    )
    assert outcomes(process(good(event=5), on_other_type="drop")) == ("event_not_string",)
    assert outcomes(process(good(), on_other_type="drop")) == ("enriched",)


def test_dropped_item_leaves_its_neighbours() -> None:
    """In a batch only the items of another type are dropped."""
    outputs = process({"batch": [good(), good(type="page"), good(event=5)]}, on_other_type="drop")
    assert outcomes(outputs) == ("enriched", "unsupported_type", "event_not_string")


@pytest.mark.parametrize("sent", ["abc", True, [1], "1,5"])
@pytest.mark.parametrize("name", ["revenue", "value"])
def test_amount_rule_warn(name: str, sent: object) -> None:
    """Set to warn, a wrong amount stays as it was sent; set to reject, it is rejected."""
    properties = {name: sent, "currency": "EUR"}
    event = enrich(good(properties=properties), rules={f"{name}_invalid": "warn"})
    assert event["properties"] == properties
    assert warnings(event) == [f"{name}_invalid /properties/{name}"]
    dead_letter = reject(good(properties=properties), rules={f"{name}_invalid": "reject"})
    assert dead_letter.broken == [f"{name}_invalid /properties/{name}"]


def test_currency_rule_warn() -> None:
    """Set to warn, a wrong currency stays as it was sent, and no default takes its place."""
    properties = {"revenue": 5, "currency": " euro "}
    event = enrich(good(properties=properties), rules={"currency_invalid": "warn"})
    assert event["properties"] == properties
    assert warnings(event) == ["currency_invalid /properties/currency"]
    assert "currencyDefaulted" not in event["enrichment"]


@pytest.mark.parametrize("sent", [True, 12.5, {"id": 1}, ["u"]])
def test_id_rule_warn(sent: object) -> None:
    """Set to warn, an unusable userId passes beside an anonymousId, but identifies nobody alone."""
    rules = {"id_not_string": "warn"}
    event = enrich(good(userId=sent, anonymousId="a"), rules=rules)
    assert event["anonymousId"] == "a"
    assert warnings(event) == ["id_not_string /userId"]
    assert reject(good(userId=sent), rules=rules).broken == ["no_user_anon_id"]


def test_rule_warn_keeps_other_rules() -> None:
    """One rule set to warn excuses nothing else."""
    dead_letter = reject(
        good(event=5, properties={"revenue": "x"}), rules={"revenue_invalid": "warn"}
    )
    assert dead_letter.broken == ["event_not_string /event"]
