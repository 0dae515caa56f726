"""Hypothesis strategies: track events that are nearly right, as JSON text with odd numbers kept."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st

from pipeline.core.headers import DlqHeader, TrackHeader
from tests.support import Digits, JsonObject, text_of

SECRET: Final = "zq9-secret"  # noqa: S105  a marker that details and warnings must not show
ODD_NUMBERS: Final = tuple(
    Digits(text)
    for text in (
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1e3",
        "1E-7",
        "1.10",
        "12345.0",
        "19.990000000000000001",
        "18446744073709551616",
        "-9223372036854775809",
        "9" * 38,
        "1" + "0" * 38,
        "9" * 29 + "." + "9" * 10,
        "1e28",
        "1e29",
        "1e-100",
        "1e-101",
        "1e400",
        "1e999999999",
        "1e-999999999",
        "1449947461",
        "1449947461249",
        "1449947461.249",
        "253402300800",
        "99999999999999",
        "4" * 1_000,
    )
)
ODD_TEXTS: Final = (
    "",
    " ",
    "\t\n",
    "\u00a0",
    "null",
    "NaN",
    "track",
    "\x00",
    "\ufeff",
    "a\u0301",
    "\u202eabc",
    "\U0001f6d2",
    "ıSK",
    " u ",
    "19.99",
    "$5",
    "1,234.56",
    "1e400",
    "٣",
    "2015-12-12T19:11:01.249Z",
    "2015-12-12 20:11:01+01",
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59.999-05:00",
    "1449947461249",
    "eur",
    "XXX",
    "x" * 300,
    "\U0001f6d2" * 300,
)

numbers = st.one_of(
    st.sampled_from(ODD_NUMBERS),
    st.integers(-(10**30), 10**30).map(Digits),
    st.builds(
        lambda whole, fraction, exponent: Digits(f"{whole}.{fraction}e{exponent}"),
        st.integers(-(10**12), 10**12),
        st.integers(0, 10**12),
        st.integers(-110, 40),
    ),
)
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value."""


def mostly(*good: Any) -> st.SearchStrategy[Any]:
    """One of these, or now and then any JSON value."""
    return st.one_of(*[st.sampled_from(good)] * 3, values)


def _object(required: JsonObject, optional: JsonObject) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries(required, optional=optional)


AMOUNTS: Final = (Digits("19.99"), Digits("0"), Digits("-5"), "19.99", " $5 ", "1,5", "", None)
CODES: Final = ("USD", "EUR", "eur", " gbp ", "DEM", "euro", "", None)
CLOCK: Final = (
    "2015-12-12T19:11:01.152Z",
    "2015-12-12T19:11:01.169Z",
    "2015-12-12T20:11:01.266+01:00",
    "2015-12-14",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    Digits("1449947461"),
    "never",
)

properties = st.one_of(
    _object(
        {},
        {
            "revenue": mostly(*AMOUNTS),
            "value": mostly(*AMOUNTS),
            "currency": mostly(*CODES),
            "Revenue": scalars,
            "CURRENCY": scalars,
            "products": st.lists(st.fixed_dictionaries({"currency": mostly(*CODES)}), max_size=2),
            "free": values,
            "number": numbers,
        },
    ),
    st.dictionaries(texts, values, max_size=4),
    mostly({}, [], None, "x"),
)
traits = st.one_of(st.dictionaries(texts, values, max_size=3), mostly({}, [], None, {"a": True}))
context = st.one_of(
    _object(
        {},
        {
            "traits": traits,
            "ip": mostly("::1"),
            "library": mostly({"name": "analytics.js", "version": "2"}, {"name": 5}),
            "active": mostly("yes", *[True] * 2),
            "network": mostly("wifi", {"wifi": True}),
            "free": values,
        },
    ),
    mostly({}, [], None, "x"),
)
_FIELDS: Final[JsonObject] = {
    "type": st.sampled_from(["track", "track", "track", None, "page", Digits("1")]),
    "action": mostly("track", "page"),
    "messageId": mostly("m1", " m1 ", Digits("7"), ""),
    "anonymousId": mostly("a1", Digits("12"), "", []),
    "timestamp": mostly(*CLOCK),
    "originalTimestamp": mostly(*CLOCK),
    "sentAt": mostly(*CLOCK),
    "receivedAt": mostly(*CLOCK),
    "properties": properties,
    "context": context,
    "integrations": mostly({}, {"All": True}, []),
    "traits": traits,
    "enrichment": mostly({"currencyDefaulted": True}, {}),
    "writeKey": mostly("key"),
    "user_id": mostly("u1"),
    "unknown": values,
}

_GOOD: Final[JsonObject] = {
    "event": st.sampled_from(["Order Completed", " e ", "\x00"]),
    "userId": st.sampled_from(["u1", Digits("5")]),
}
_TIMED: Final[JsonObject] = {
    name: st.sampled_from(CLOCK) for name in ("originalTimestamp", "sentAt", "receivedAt")
}

mostly_good_events = st.one_of(
    _object(_GOOD, _FIELDS),
    _object(_GOOD | _TIMED, {k: v for k, v in _FIELDS.items() if k not in _TIMED}),
)
"""Events whose name and identity are right: most of them are enriched."""

events = st.one_of(
    mostly_good_events,
    _object({}, _FIELDS | {"event": mostly("Order Completed"), "userId": mostly("u1", " 5 ")}),
)
"""Random subsets of the fields of an event, now and then of a wrong type."""

spaces = st.sampled_from(["", "", "", " ", "\n\t "])


@st.composite
def json_texts(draw: st.DrawFn, objects: st.SearchStrategy[Any]) -> bytes:
    """The JSON of an object: padded or not, with escapes or without."""
    text = text_of(draw(objects))
    if draw(st.booleans()):
        text = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return f"{draw(spaces)}{text}{draw(spaces)}".encode()


event_texts = json_texts(events)

junk = st.one_of(
    st.binary(max_size=60),
    st.text('{}[]":,0123456789.eE+-\\u "abtrufalsn\ufeff\x00', max_size=40).map(str.encode),
    event_texts.flatmap(
        lambda text: st.builds(
            lambda at, length, put: text[:at] + put + text[at + length :],
            st.integers(0, len(text)),
            st.integers(0, 4),
            st.binary(max_size=4),
        )
    ),
)
"""Bytes that are no event: random, of JSON's own characters, or an event that was damaged."""

items = st.one_of(event_texts, event_texts, json_texts(values))


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[bytes, list[bytes], dict[str, bytes]]:
    """A batch envelope: its bytes, the bytes of its items, those of its other fields."""
    parts = draw(st.lists(items, min_size=1, max_size=4))
    others = draw(
        st.dictionaries(
            st.sampled_from(["context", "integrations", "sentAt", "receivedAt", "writeKey", "x"]),
            json_texts(st.one_of(context, st.sampled_from(CLOCK))),
            max_size=3,
        )
    )
    members = [f'"{name}":'.encode() + text for name, text in others.items()]
    members.insert(draw(st.integers(0, len(members))), b'"batch":[' + b",".join(parts) + b"]")
    return b"{" + b",".join(members) + b"}", parts, others


header_names = st.sampled_from(
    [
        TrackHeader.SOURCE,
        TrackHeader.ORIGIN,
        "track.x",
        DlqHeader.REASON,
        DlqHeader.ATTEMPT,
        "dlq.",
        "Dlq.reason",
        "x",
        "",
    ]
)
header_lists = st.lists(st.tuples(header_names, st.none() | st.binary(max_size=8)), max_size=4)

settings = st.fixed_dictionaries(
    {},
    optional={
        "on_other_type": st.sampled_from(["dead-letter", "drop"]),
        "default_currency": st.sampled_from(["USD", "EUR"]),
        "default_currency_when": st.sampled_from(["revenue", "always"]),
        "keep_write_key": st.booleans(),
        "accept_origin_headers": st.booleans(),
        "identify": st.sampled_from([[], [{"event": "*"}]]),
        "rules": st.fixed_dictionaries(
            {},
            optional={
                name: st.sampled_from(["reject", "warn"])
                for name in (
                    "id_not_string",
                    "traits_not_object",
                    "revenue_invalid",
                    "value_invalid",
                    "currency_invalid",
                    "context_field_type",
                    "lone_surrogate",
                )
            },
        ),
    },
)
"""Contract settings; limits stay as they are."""
