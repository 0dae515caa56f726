"""Fields that are removed, replaced or kept, and their order (contract §4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import enrich, good, warnings
from tests.unit.core.test_objects import CONTEXT_TYPES


def test_write_key_is_removed() -> None:
    """`writeKey` is a credential: it is removed, unless a setting keeps it."""
    assert "writeKey" not in enrich(good(writeKey="secret"))
    assert enrich(good(writeKey="secret"), keep_write_key=True)["writeKey"] == "secret"


def test_unknown_fields_follow_in_their_order() -> None:
    """Unknown top-level fields are kept, behind ours, in input order, whatever they hold."""
    unknown: dict[str, Any] = {
        "zebra": None,
        "_metadata": {"a": [1]},
        "channel": "",
        "batch": 1,
        "Type": "x",
    }
    event = enrich(unknown | good())
    assert list(event)[-len(unknown) :] == list(unknown)
    assert {name: event[name] for name in unknown} == unknown


def test_field_order_is_fixed() -> None:
    """The order of our fields does not depend on the order in which they came."""
    fields = good(context={"traits": {"a": 1}}, properties={"x": 1}, integrations={"All": True})
    backwards = dict(reversed(fields.items()))
    assert list(enrich(fields)) == list(enrich(backwards))


@pytest.mark.parametrize("sent", [{"x": 1}, "x", [], {"currencyDefaulted": True}])
def test_enrichment_that_came_in_is_replaced(sent: object) -> None:
    """`enrichment` is ours; another one gives way, with a warning."""
    event = enrich(good(enrichment=sent))
    assert event["enrichment"] == {
        "timestampSource": "original",
        "warnings": ["enrichment_replaced /enrichment"],
    }


@pytest.mark.parametrize(("currency", "kept"), [("USD", True), ("usd", True), ("EUR", None)])
def test_an_assumed_currency_stays_assumed(currency: str, kept: object) -> None:
    """A second pass keeps currencyDefaulted while the currency still equals the default."""
    sent = good(
        properties={"revenue": 5, "currency": currency}, enrichment={"currencyDefaulted": True}
    )
    assert enrich(sent)["enrichment"].get("currencyDefaulted") is kept


@pytest.mark.parametrize("flag", [False, "true", 1, None])
def test_only_true_is_kept(flag: object) -> None:
    """Nothing but `true` counts as currencyDefaulted."""
    sent = good(
        properties={"revenue": 5, "currency": "USD"}, enrichment={"currencyDefaulted": flag}
    )
    assert "currencyDefaulted" not in enrich(sent)["enrichment"]


def test_warnings_are_32_at_most() -> None:
    """The list of warnings is cut after 32."""
    text = '{"event":" e ","userId":5,"anonymousId":6,"messageId":7,"enrichment":1,"sentAt":1,'
    text += '"receivedAt":1,"timestamp":1,"originalTimestamp":1,"integrations":[],"traits":5,'
    text += (
        '"context":{"traits":{"a":1},' + ",".join(f'"{name}":5' for name in CONTEXT_TYPES) + "},"
    )
    text += '"properties":{"revenue":"","value":"","currency":"",'
    text += ",".join(f'"{name}":1' for name in ("Revenue", "REVENUE", "Value", "VALUE", "Currency"))
    text += "}}"
    found = warnings(enrich(text))
    assert len(found) == 32
    assert len(set(found)) == 32
