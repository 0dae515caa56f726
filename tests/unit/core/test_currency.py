"""The currency default, its settings, and misspelled reserved names (contract §3)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.currencies import ISO_4217, withdrawn
from pipeline.core.record import Role
from pipeline.core.timestamps import read_time
from tests.support import enrich, good, only, process, reject, warnings


def test_currency_defaults_to_us_dollars() -> None:
    """A revenue without currency is assumed to be in US dollars, and the event says so."""
    event = enrich(good(properties={"revenue": 5}))
    assert event["properties"] == {"revenue": 5, "currency": "USD"}
    assert event["enrichment"]["currencyDefaulted"] is True
    assert warnings(event) == []


@pytest.mark.parametrize("properties", [{}, {"value": 5}, {"revenue": None}, {"total": 5}])
def test_no_revenue_no_currency(properties: dict[str, Any]) -> None:
    """Without a revenue no currency is added."""
    event = enrich(good(properties=properties))
    assert "currency" not in event["properties"]
    assert "currencyDefaulted" not in event["enrichment"]


def test_a_revenue_of_zero_is_a_revenue() -> None:
    """Zero is a value: the default applies."""
    assert enrich(good(properties={"revenue": 0}))["properties"]["currency"] == "USD"


def test_given_currency_is_not_defaulted() -> None:
    """A stated dollar is not an assumed one."""
    event = enrich(good(properties={"revenue": 5, "currency": "usd"}))
    assert "currencyDefaulted" not in event["enrichment"]


def test_default_currency_can_be_set() -> None:
    """`default_currency` names the currency that is assumed."""
    event = enrich(good(properties={"revenue": 5}), default_currency="EUR")
    assert event["properties"]["currency"] == "EUR"
    assert event["enrichment"]["currencyDefaulted"] is True


@pytest.mark.parametrize("properties", [{}, {"value": 5}, {"revenue": ""}, {"currency": None}])
def test_default_currency_always(properties: dict[str, Any]) -> None:
    """With `default_currency_when` always, events without revenue get it as well, and say so."""
    event = enrich(good(properties=properties), default_currency_when="always")
    assert event["properties"]["currency"] == "USD"
    assert event["enrichment"]["currencyDefaulted"] is True


def test_default_always_leaves_a_given_currency() -> None:
    """A currency that was sent stays, also one that only gets a warning."""
    for sent, out in (("eur", "EUR"), ("euro", "euro")):
        event = enrich(good(properties={"currency": sent}), default_currency_when="always")
        assert event["properties"]["currency"] == out
        assert "currencyDefaulted" not in event["enrichment"]


@pytest.mark.parametrize(
    ("sent", "conflicts"),
    [("EUR", 1), ("USD", 0), ("usd", 0), (None, 0), ("", 0)],
)
def test_product_currency_against_the_default(sent: object, conflicts: int) -> None:
    """A product in another currency than the assumed one is pointed out."""
    products = [{"price": 5}, {"price": 5, "currency": sent}]
    found = warnings(enrich(good(properties={"revenue": 5, "products": products})))
    assert [w for w in found if w.startswith("currency_default_conflicts ")] == found
    assert len(found) == conflicts


def test_product_currency_beside_a_stated_one() -> None:
    """Without an assumption there is no conflict."""
    properties = {"revenue": 5, "currency": "USD", "products": [{"currency": "EUR"}]}
    assert warnings(enrich(good(properties=properties))) == []


@pytest.mark.parametrize(
    ("timestamp", "found"),
    [
        ("2017-01-31T23:59:59.999Z", []),
        ("2017-02-01T00:00:00.000Z", ["currency_withdrawn /properties/currency"]),
    ],
)
def test_withdrawn_currency_is_warned_about(timestamp: str, found: list[str]) -> None:
    """The time of the event counts, and not when it is processed."""
    properties = {"revenue": 5, "currency": "byr"}
    event = good(properties=properties, timestamp=timestamp, receivedAt="2017-02-01T00:00:05.000Z")
    assert enrich(event)["properties"]["currency"] == "BYR"
    assert warnings(enrich(event)) == found


def test_withdrawn_currency_without_a_revenue() -> None:
    """Without a revenue, or with one that is invalid, the currency has no meaning."""
    for properties in ({"currency": "DEM"}, {"revenue": None, "currency": "DEM"}):
        assert warnings(enrich(good(properties=properties))) == []
    event = good(properties={"revenue": "x", "currency": "DEM"})
    assert warnings(enrich(event, rules={"revenue_invalid": "warn"})) == [
        "revenue_invalid /properties/revenue"
    ]


@pytest.mark.parametrize("code", ["XXX", "XTS"])
def test_codes_that_are_no_currencies(code: str) -> None:
    """No currency and test are codes of the standard; a setting accepts them."""
    properties = {"revenue": 5, "currency": code}
    assert reject(good(properties=properties)).broken == ["currency_invalid /properties/currency"]
    event = enrich(good(properties=properties), currency={"extra_codes": [code]})
    assert event["properties"]["currency"] == code


def test_default_currency_is_an_accepted_code() -> None:
    """An event with the default of another standard is valid when it is processed again."""
    first = only(process(good(properties={"revenue": 5}), default_currency="BTC"), Role.ENRICHED)
    again = enrich(first.value, default_currency="BTC")
    assert again["properties"] == {"revenue": 5, "currency": "BTC"}
    assert again["enrichment"]["currencyDefaulted"] is True


def test_extra_codes_are_accepted() -> None:
    """The codes of `currency.extra_codes` are accepted like those of ISO 4217."""
    properties = {"revenue": 5, "currency": "btc"}
    assert reject(good(properties=properties)).broken == ["currency_invalid /properties/currency"]
    event = enrich(good(properties=properties), currency={"extra_codes": ["BTC"]})
    assert event["properties"]["currency"] == "BTC"


@pytest.mark.parametrize("name", ["Revenue", "REVENUE", "Currency", "CURRENCY", "Value", "VALUE"])
def test_misspelled_reserved_names(name: str) -> None:
    """A reserved property in another case is kept as sent, with a warning."""
    event = enrich(good(properties={name: "x"}))
    assert event["properties"] == {name: "x"}
    assert warnings(event) == [f"reserved_name_misspelled /properties/{name}"]


def test_misspelled_beside_the_right_name() -> None:
    """Beside the right name the other spelling is a free property; beside a blank one it is not."""
    event = enrich(good(properties={"Revenue": "x", "revenue": 5, "currency": "EUR"}))
    assert warnings(event) == []
    assert sorted(warnings(enrich(good(properties={"Value": 1, "value": ""})))) == [
        "empty_reserved_property /properties/value",
        "reserved_name_misspelled /properties/Value",
    ]


def test_total_is_no_revenue() -> None:
    """`total` includes tax and shipping: it never becomes the revenue."""
    assert enrich(good(properties={"total": 9}))["properties"] == {"total": 9}


@pytest.mark.parametrize(
    ("code", "last", "first"),
    [
        ("TRL", "2005-12-31T23:59:59.999Z", "2006-01-01T00:00:00.000Z"),
        ("BYR", "2017-01-31T23:59:59.999Z", "2017-02-01T00:00:00.000Z"),
        ("VEF", "2018-08-31T23:59:59.999Z", "2018-09-01T00:00:00.000Z"),
        ("DEM", "2002-03-31T23:59:59.999Z", "2002-04-01T00:00:00.000Z"),
        ("ILR", "1989-12-31T23:59:59.999Z", "1990-01-01T00:00:00.000Z"),
    ],
)
def test_code_is_withdrawn_after_its_month(code: str, last: str, first: str) -> None:
    """A code is withdrawn when the month, or the year, is over that the standard names."""
    assert [withdrawn(code, (read_time(text) or (0,))[0]) for text in (last, first)] == [0, 1]


def test_codes_in_use_are_not_withdrawn() -> None:
    """Some country uses the currency; metals and funds are in use as well."""
    far = 2**53
    assert not any(withdrawn(code, far) for code in ("EUR", "USD", "VES", "BYN", "TRY", "XAU", ""))
    assert 100 < sum(withdrawn(code, far) for code in ISO_4217) < 150


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ('{"revenue":null}', "{}"),
        ('{ "revenue" : null }', "{}"),
        ('{"revenue":null,"value":null,"currency":null}', "{}"),
        ('{"revenue":null,"a":1}', '{"a":1}'),
        ('{"a":1,"revenue":null}', '{"a":1}'),
        ('{"a":1, "revenue": null , "b":2}', '{"a":1,"b":2}'),
        ('{"a":null,"revenue":null,"b":null}', '{"a":null,"b":null}'),
        ('{"a":",","value":" ","b":"}"}', '{"a":",","b":"}"}'),
        ('{"a":"revenue","revenue":null}', '{"a":"revenue"}'),
        ('{"a":{"revenue":null},"revenue":null}', '{"a":{"revenue":null}}'),
        ('{"revenue":null,"a":1,"revenue":null}', '{"a":1}'),
        ('{"rev\\u0065nue":null,"a":1}', '{"a":1}'),
        ('{"a":1,"value":null,"revenue":"5"}', '{"a":1,"revenue":5,"currency":"USD"}'),
    ],
)
def test_properties_that_are_not_set_are_removed(sent: str, left: str) -> None:
    """Every other member keeps its place and its bytes, wherever the removed one stands."""
    (output,) = process('{"event":"e","userId":"u","properties":' + sent + "}")
    start = (output.value or b"").index(b'"properties":') + len(b'"properties":')
    found = (output.value or b"")[start:].partition(b',"context":')[0]
    assert found.replace(b" ", b"") == left.encode().replace(b" ", b"")
