"""Write keys are credentials: which are removed, and which are warned about (contract §4)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.write_keys import may_have_url_with_key, url_with_key
from tests.support import enrich, good, process, text_of, warnings

KEY = "hunter2"
NAMES = ("writeKey", "write_key", "WriteKey")


@pytest.mark.parametrize("name", NAMES)
def test_write_keys_are_removed(name: str) -> None:
    """At the top level, in each spelling; the setting keeps all of them."""
    assert name not in enrich(good(**{name: KEY}))
    assert enrich(good(**{name: KEY}), keep_write_key=True)[name] == KEY


@pytest.mark.parametrize("name", NAMES)
def test_write_keys_of_a_query_are_removed(name: str) -> None:
    """A gateway puts the query of the request into the context, the key with it."""
    context = {"a": "1", "query_parameters": {"b": "2", name: KEY, "c": ["3"]}, "z": {"y": None}}
    event = good(context=context)
    expected = context | {"query_parameters": {"b": "2", "c": ["3"]}}
    assert text_of(enrich(event)["context"]) == text_of(expected)
    assert text_of(enrich(event, keep_write_key=True)["context"]) == text_of(context)


def test_write_key_alone_in_a_query() -> None:
    """What is left is an empty object."""
    event = enrich(good(context={"query_parameters": {"writeKey": KEY}}))
    assert event["context"] == {"query_parameters": {}}


def test_escaped_name_of_a_write_key() -> None:
    """A name is compared as it reads, not as it is written."""
    context = '"context":{"query\\u005fparameters":{"write\\u004bey":"hunter2","a":"1"}}'
    event = enrich('{"event":"e","userId":"u","write\\u004bey":"hunter2",' + context + "}")
    assert "hunter2" not in str(event)
    assert event["context"] == {"query_parameters": {"a": "1"}}


@pytest.mark.parametrize("query", [None, "writeKey=hunter2", ["writeKey"], {"a": {"writeKey": 1}}])
def test_other_query_parameters_are_kept(query: Any) -> None:
    """Only a member of that object is a write key."""
    assert enrich(good(context={"query_parameters": query}))["context"]["query_parameters"] == query


def test_same_name_elsewhere_is_kept() -> None:
    """A property of the name is the sender's own."""
    event = enrich(good(properties={"writeKey": "w"}, context={"writeKey": "w"}))
    assert (event["properties"]["writeKey"], event["context"]["writeKey"]) == ("w", "w")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"context": {"page": {"url": "https://shop.example/?writeKey=w"}}}, "/context/page/url"),
        ({"context": {"page": {"search": "?a=1&writeKey=w&b=2"}}}, "/context/page/search"),
        ({"properties": {"urls": ["/", "/c?writeKey=w"]}}, "/properties/urls/1"),
        ({"properties": {"a/b~c": "?writeKey=w"}}, "/properties/a~1b~0c"),
        ({"url": "?writeKey="}, "/url"),
        ({"z": "?writeKey=1", "a": {"b": "?writeKey=2"}}, "/z"),
    ],
)
def test_write_key_in_a_url(fields: dict[str, Any], pointer: str) -> None:
    """The event is kept as it is; the warning names the first such text."""
    event = enrich(good(**fields))
    assert warnings(event) == [f"write_key_in_url {pointer}"]
    assert all(event[name] == value for name, value in fields.items() if name != "properties")


@pytest.mark.parametrize("last", [b"{}", b"null", b'{"writeKey":"w"}'])
def test_repeated_query_parameters_lose_their_write_keys(last: bytes) -> None:
    """Of a repeated member, too, no write key is carried."""
    query = b'"query_parameters":{"writeKey":"SECRET","a":1},"query_parameters":' + last
    (output,) = process(b'{"event":"E","userId":"u","context":{' + query + b"}}")
    assert b"SECRET" not in (output.value or b"")
    assert b'{"a":1}' in (output.value or b"")


def test_url_in_a_batch() -> None:
    """The context of an envelope, which is each item's own, is looked at as well."""
    context = {"page": {"url": "https://shop.example/?writeKey=w"}}
    event = enrich({"batch": [good()], "context": context})
    assert warnings(event) == ["write_key_in_url /context/page/url"]


@pytest.mark.parametrize(
    "text",
    ["writeKey=w", "&writeKey=w?", "?xwriteKey=w", "? writeKey=w", "?writekey=w", "?writeKey"],
)
def test_no_write_key_in_a_url(text: str) -> None:
    """Only a parameter of exactly this name is a write key."""
    assert warnings(enrich(good(properties={"text": text}))) == []


def test_no_warning_when_write_keys_are_kept() -> None:
    """Who keeps write keys does not need to be told of them."""
    event = good(properties={"url": "?writeKey=w"})
    assert warnings(enrich(event, keep_write_key=True)) == []


def test_write_key_that_was_removed_anyway() -> None:
    """A URL in a field that is not written is no concern."""
    assert warnings(enrich(good(writeKey="?writeKey=w"))) == []


def test_depth_and_size_do_not_matter() -> None:
    """The search of a deep and wide document ends, and nothing recurses."""
    deep: Any = "?writeKey=w"
    for _ in range(5_000):
        deep = [deep]
    assert url_with_key([[0] * 100_000, deep]) == "/1" + "/0" * 5_000
    assert url_with_key({"a": ["?"] * 100_000}) == ""
    assert may_have_url_with_key(b"?" * 1_000_000) is False
