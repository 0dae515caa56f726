"""Everything that can be wrong with a raw record, and the reason code that it must cause.

A fault spoils a good event (`EVENT_FAULTS`: alone or as the item of a batch) or the bytes of a
record (`RECORD_FAULTS`, `HUGE_FAULTS`). Under default settings the reason holds for all but those
in the two STRICT tables, which need `STRICT_SETTINGS`. No value can cause
`processing_error` (a bug of the program) and `invalid_headers` (not of the value).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Raw

from pipeline.core.contract import ContractSettings, Limits, Rules
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonObject, JsonValue
from pipeline.core.reasons import Reason
from pipeline.demo.generate.dice import Dice

_MEBIBYTE: Final = 1_048_576

STRICT_SETTINGS: Final = ContractSettings(
    rules=Rules(
        traits_not_object="reject",
        context_field_type="reject",
        value_invalid="reject",
        lone_surrogate="reject",
    ),
    limits=Limits(max_record_bytes=2 * _MEBIBYTE),
)
"""Settings under which those reasons occur, too, that depend on a setting."""


class EventFault(NamedTuple):
    """Something wrong with one event."""

    reason: Reason
    spoil: Callable[[JsonObject, Dice], Any]
    """Function that changes the event or returns a replacement."""


class RecordFault(NamedTuple):
    """Something wrong with a whole record, which then has one outcome."""

    reason: Reason
    spoil: Callable[[bytes, Dice], bytes | None]
    """Function of the bytes of a valid event, which always begin with `{"`."""
    is_line: bool = True
    """Whether the record can be a line of a file: text that is not blank, without a line break."""


_NO_OBJECTS: Final = ("none", "", 0, 17, False, True, ["a", "b"], 1.5)
_NO_NAMES: Final = (42, True, {"name": "Order Completed"}, ["Order Completed"], 1.5)
_NO_IDS: Final[tuple[Any, ...]] = (True, False, 12.5, {"id": 7}, ["usr_1"], [])
_OTHER_TYPES: Final = ("identify", "page", "screen", "group", "alias", "tracking", 7, ["track"])
_NO_AMOUNTS: Final = (
    "1,299.00",
    "12,50",
    "1.234,56",
    "€19.99",
    "19.99 USD",
    "free",
    "NaN",
    "Infinity",
    "0x1F",
    "1_000",
    "$ 5",
    "--5",
    "00420",
    True,
    [19.99],
    {"amount": 1999, "scale": 2},
    Raw(b"1e29"),
    "1e-101",
)
_IDENTIFIERS: Final = ("00420", "007", "-012.50", "$00.99")
_NO_CURRENCIES: Final = (
    "US",
    "EURO",
    "€",
    "XQQ",
    "XXX",
    "XTS",
    "U$D",
    "us dollar",
    840,
    True,
    ["USD"],
    "\u0131sk",
)
_WRONG_CONTEXT: Final = (
    ("network", "wifi"),
    ("page", "/cart"),
    ("app", "Shop"),
    ("device", "iPhone"),
    ("library", "analytics.js"),
    ("ip", 3221225985),
    ("os", ["iOS", "18"]),
    ("active", "true"),
)


def _set(name: str, values: tuple[Any, ...], event: JsonObject, dice: Dice) -> JsonObject:
    event[name] = dice.pick(values)
    return event


def _take(event: JsonObject, *names: str) -> JsonObject:
    for name in names:
        event.pop(name, None)
    return event


def _no_name(event: JsonObject, dice: Dice) -> JsonObject:
    if dice.random() < 0.3:  # noqa: PLR2004  a share
        return _take(event, "event", "userId", "anonymousId")  # two rules broken at once
    return _take(event, "event") if dice.random() < 0.5 else event | {"event": None}  # noqa: PLR2004


def _other_type(event: JsonObject, dice: Dice) -> JsonObject:
    kind = dice.pick(_OTHER_TYPES)
    if "action" in event and isinstance(kind, str):
        return event | {"action": kind}
    if kind in ("identify", "group", "alias"):
        event = _take(event, "event", "properties")
    return event | {"type": kind}


def _nobody(event: JsonObject, dice: Dice) -> JsonObject:
    user = event.get("userId") or event.get("anonymousId")
    event = _take(event, "userId", "anonymousId")
    near = ("user_id", "userID", "annonymousId", "anonymous_id")
    wrong: tuple[JsonObject, ...] = (
        {},
        {"userId": " "},
        {"userId": None, "anonymousId": ""},
        {dice.pick(near): user},
    )
    return event | dice.pick(wrong)


def _set_property(name: str, values: tuple[Any, ...], event: JsonObject, dice: Dice) -> JsonObject:
    properties = dict(event.get("properties") or {})
    properties[name] = dice.pick(values)
    return event | {"properties": properties}


def _wrong_currency(event: JsonObject, dice: Dice) -> JsonObject:
    event = _set_property("revenue", (19.99, "19.99", 5, 0, -5), event, dice)
    return _set_property("currency", _NO_CURRENCIES, event, dice)


def _set_context(fields: tuple[tuple[str, Any], ...], event: JsonObject, dice: Dice) -> JsonObject:
    name, value = dice.pick(fields)
    return event | {"context": {**(event.get("context") or {}), name: value}}


def _no_event(event: JsonObject, dice: Dice) -> JsonValue:
    return dice.pick((None, "track", 42, True, [], [event], -0.5))


def _raw(event: JsonObject, beginning: bytes) -> Raw:
    """The event with another beginning, which need not be JSON: in a batch it spoils no other."""
    return Raw(beginning + b"," + encode_json(event)[1:])


def _not_a_number(event: JsonObject, dice: Dice) -> Raw:
    return _raw(event, b'{"score":' + dice.pick((b"NaN", b"Infinity", b"-Infinity", b".5")))


def _not_utf_8(event: JsonObject, dice: Dice) -> Raw:
    return _raw(event, b'{"name":"%b"' % dice.pick((b"caf\xe9", b"\xed\xa0\xbd", b"\xc3")))


def _too_deep(event: JsonObject, dice: Dice) -> Raw:
    levels = Limits().max_depth + dice.below(200)
    return _raw(event, b'{"tree":' + b"[" * levels + b"]" * levels)


def _half_a_pair(event: JsonObject, dice: Dice) -> Raw:
    """Half an emoji, as a title has that was cut after a number of UTF-16 units."""
    half = dice.pick((rb"\ud83d", rb"\ude00", rb"\uD83D \ude00"))
    return _raw(event, b'{"title":"sale %b"' % half)


EVENT_FAULTS: Final = (
    EventFault(Reason.INVALID_JSON, _not_a_number),
    EventFault(Reason.INVALID_UTF8, _not_utf_8),
    EventFault(Reason.TOO_DEEP, _too_deep),
    EventFault(Reason.NOT_AN_OBJECT, _no_event),
    EventFault(Reason.EVENT_NOT_DEFINED, _no_name),
    EventFault(Reason.EVENT_NOT_STRING, partial(_set, "event", _NO_NAMES)),
    EventFault(Reason.EVENT_BLANK, partial(_set, "event", ("", " ", "\t\n", "\u00a0"))),
    EventFault(Reason.UNSUPPORTED_TYPE, _other_type),
    EventFault(Reason.NO_USER_ANON_ID, _nobody),
    EventFault(Reason.ID_NOT_STRING, partial(_set, "userId", _NO_IDS)),
    EventFault(Reason.PROPERTIES_NOT_OBJECT, partial(_set, "properties", _NO_OBJECTS)),
    EventFault(Reason.CONTEXT_NOT_OBJECT, partial(_set, "context", _NO_OBJECTS)),
    EventFault(Reason.INTEGRATIONS_NOT_OBJECT, partial(_set, "integrations", _NO_OBJECTS)),
    EventFault(Reason.REVENUE_INVALID, partial(_set_property, "revenue", _NO_AMOUNTS)),
    EventFault(Reason.REVENUE_INVALID, partial(_set_property, "revenue", _IDENTIFIERS)),
    EventFault(Reason.CURRENCY_INVALID, _wrong_currency),
)
STRICT_EVENT_FAULTS: Final = (
    EventFault(Reason.INVALID_UTF8, _half_a_pair),
    EventFault(Reason.VALUE_INVALID, partial(_set_property, "value", _NO_AMOUNTS)),
    EventFault(
        Reason.TRAITS_NOT_OBJECT,
        partial(_set_context, tuple(("traits", value) for value in _NO_OBJECTS)),
    ),
    EventFault(Reason.CONTEXT_FIELD_TYPE, partial(_set_context, _WRONG_CONTEXT)),
)


def _always(*values: bytes | None) -> Callable[[bytes, Dice], bytes | None]:
    return lambda _event, dice: dice.pick(values)


def _utf_16(event: bytes, _dice: Dice) -> bytes:
    return b"\xff\xfe" + event.decode().encode("utf-16-le")


def _truncated(event: bytes, dice: Dice) -> bytes:
    """Cut the event anywhere between two characters: half a character would be another fault."""
    return event[: 1 + dice.below(len(event) - 1)].decode(errors="ignore").encode()


def _no_json(event: bytes, dice: Dice) -> bytes:
    return dice.pick(
        (
            event + event,
            event + b"}",
            event.replace(b'"', b"'"),
            b'{"score":NaN,"' + event[2:],
            b"null" + event,
            b"// sent by hand {" + event,
            event[:-1] + b",}",
            b"event=Order+Completed&userId=usr_1",
            b"<track><event>Order Completed</event></track>",
        )
    )


def _no_batch(event: bytes, dice: Dice) -> bytes:
    return b'{"batch":%b,"sentAt":null}' % dice.pick((event, b"null", b'"[]"', b"1"))


def _two_batches(event: bytes, _dice: Dice) -> bytes:
    return b'{"batch":[%b],"batch":[%b]}' % (event, event)


RECORD_FAULTS: Final = (
    RecordFault(Reason.NULL_VALUE, _always(None), is_line=False),
    RecordFault(Reason.EMPTY_VALUE, _always(b"", b" ", b"\r\n", b"\t"), is_line=False),
    RecordFault(Reason.INVALID_UTF8, _utf_16, is_line=False),
    RecordFault(Reason.INVALID_JSON, _truncated),
    RecordFault(Reason.INVALID_JSON, _no_json),
    RecordFault(Reason.EMPTY_BATCH, _always(b'{"batch":[]}', b'{"batch":[],"sentAt":null}')),
    RecordFault(Reason.BATCH_NOT_ARRAY, _no_batch),
    RecordFault(Reason.BATCH_DUPLICATED, _two_batches),
)


def _padded(size: int, event: bytes, _dice: Dice) -> bytes:
    return b'{"padding":"' + b"x" * size + b'","' + event[2:]


def _shared_context(event: bytes, _dice: Dice) -> bytes:
    """Make a small record whose items would be 19 MB, as each gets the envelope's context."""
    context = b"x" * 200_000
    return b'{"context":{"padding":"%b"},"batch":[%b]}' % (context, b",".join([event] * 95))


HUGE_FAULTS: Final = (
    RecordFault(Reason.EVENT_TOO_LARGE, partial(_padded, 1_060_000)),
    RecordFault(Reason.ENRICHED_TOO_LARGE, partial(_padded, 1_010_000)),
    RecordFault(Reason.BATCH_TOO_LARGE, _shared_context),
)
STRICT_HUGE_FAULTS: Final = (RecordFault(Reason.RECORD_TOO_LARGE, partial(_padded, 2 * _MEBIBYTE)),)

_IN_LINES: Final = frozenset(
    [fault.reason for fault in EVENT_FAULTS]
    + [fault.reason for fault in RECORD_FAULTS if fault.is_line]
)
NOT_IN_LINES: Final = tuple(
    dict.fromkeys(fault.reason for fault in RECORD_FAULTS if fault.reason not in _IN_LINES)
)
"""Reasons that no line of a file can have."""
