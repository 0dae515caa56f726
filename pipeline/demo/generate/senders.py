"""The form in which each SDK sends a call.

Taken from what the SDKs really send: which of the time fields, which form of id, null or absent,
and what they know of the device. A call is one event, or one item of a batch, whose envelope
then carries `sentAt` for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from pipeline.core.json_value import JsonObject
from pipeline.core.timestamps import DAY, format_time
from pipeline.demo.generate import devices
from pipeline.demo.generate.dice import Dice, weighted
from pipeline.demo.generate.events import APP_EVENTS, BROWSER_EVENTS, SERVER_EVENTS
from pipeline.demo.generate.people import User

_WRITE_KEY: Final = "not-a-real-write-key"
_SHARE_TRAITS: Final = {"browser": 0.06, "ios": 0.25, "android": 0.25}
"""Share of a device's events that have context.traits; of clicked buttons half have them."""
_CLOCK_MOVED: Final = 0.002
_OFFLINE: Final = 0.08
"""Share of an app's events that were sent late, for want of a network."""

_TIMESTAMP_SENT: Final = ("timestamp", "sentAt")
_ORIGINAL_SENT: Final = ("originalTimestamp", "sentAt")
_ALL_FOUR: Final = ("originalTimestamp", "timestamp", "sentAt", "receivedAt")
_DEVICE_TIMES: Final = weighted(((_TIMESTAMP_SENT, 60), (_ORIGINAL_SENT, 25), (_ALL_FOUR, 15)))


class Call(NamedTuple):
    """The context of one generated call of an SDK."""

    dice: Dice
    user: User
    received: int
    """Time of arrival, in epoch milliseconds."""
    in_batch: bool


Sender = Callable[[Call], JsonObject]


def _device_times(call: Call, event: JsonObject, delay: int) -> None:
    """Add times of the device's clock; all four when a collector has corrected them already."""
    dice = call.dice
    sent = call.received - 20 - dice.below(400) + call.user.clock_error
    original = sent - delay
    if dice.random() < _CLOCK_MOVED:
        original = sent + 1 + dice.below(DAY)
    names = ("timestamp",) if call.in_batch else dice.pick(_DEVICE_TIMES)
    event[names[0]] = format_time(original)
    if names is _ALL_FOUR:
        event["timestamp"] = format_time(call.received - (sent - original))
        event["receivedAt"] = format_time(call.received)
    if not call.in_batch:
        event["sentAt"] = format_time(sent)


def _device_ids(call: Call, event: JsonObject) -> None:
    event["anonymousId"] = call.user.anonymous_id
    if call.user.user_id is not None:
        event["userId"] = call.user.user_id


def _device_context(call: Call, event: JsonObject, context: JsonObject) -> None:
    user = call.user
    share = 0.5 if event["event"] == "Button Clicked" else _SHARE_TRAITS[user.device]
    if call.dice.random() < share:
        context["traits"] = user.traits
    event["context"] = context


def analytics_js(call: Call) -> JsonObject:
    """Make an event as Segment's library for browsers sends it."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(BROWSER_EVENTS)
    event: JsonObject = {"type": "track", "event": name, "properties": properties(dice, user)}
    _device_ids(call, event)
    context: JsonObject = {
        "page": dice.pick(devices.PAGES),
        **devices.BROWSERS[user.choice % len(devices.BROWSERS)],
        "locale": user.home.locale,
        "timezone": user.home.timezone,
        "library": devices.ANALYTICS_JS,
        "ip": user.ip,
    }
    if user.choice & 7 == 0:
        context["campaign"] = devices.CAMPAIGN
    _device_context(call, event, context)
    event["integrations"] = devices.ALL_BUT_ONE if user.choice & 3 == 0 else {}
    event["messageId"] = f"ajs-next-{call.received}-{dice.uuid()}"
    _device_times(call, event, delay=1 + dice.below(80))
    event["writeKey"] = _WRITE_KEY
    return event


def _app(call: Call, device: JsonObject, library: msgspec.Raw) -> JsonObject:
    dice, user = call.dice, call.user
    name, properties = dice.pick(APP_EVENTS)
    event: JsonObject = {"type": "track", "messageId": dice.uuid(), "event": name}
    _device_ids(call, event)
    event["properties"] = properties(dice, user)
    context: JsonObject = {
        **device,
        "library": library,
        "network": dice.pick(devices.NETWORKS),
        "locale": user.home.locale,
        "timezone": user.home.timezone,
        "ip": user.ip,
    }
    _device_context(call, event, context)
    event["integrations"] = {}
    delay = dice.below(DAY) if dice.random() < _OFFLINE else dice.below(30_000)
    _device_times(call, event, delay)
    return event


def analytics_ios(call: Call) -> JsonObject:
    """Make an event as Segment's library for iOS sends it: message ids are in upper case."""
    event = _app(call, devices.IPHONES[call.user.choice % len(devices.IPHONES)], devices.IOS)
    event["messageId"] = event["messageId"].upper()
    return event


def analytics_android(call: Call) -> JsonObject:
    """Make an event as Segment's library for Android sends it."""
    return _app(call, devices.ANDROIDS[call.user.choice % len(devices.ANDROIDS)], devices.ANDROID)


def _server_ids(call: Call, event: JsonObject, *, numbers: bool) -> None:
    user = call.user
    if user.user_id is None:
        event["anonymousId"] = user.anonymous_id
    else:
        event["userId"] = user.number if numbers and user.number is not None else user.user_id


def analytics_python(call: Call) -> JsonObject:
    """Make an event as Segment's library for Python sends it: with nulls and microseconds."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(SERVER_EVENTS)
    event: JsonObject = {
        "integrations": {},
        "anonymousId": None,
        "properties": properties(dice, user),
        "timestamp": f"{format_time(call.received - 200)[:-1]}{dice.below(1000):03d}+00:00",
        "context": {"library": devices.PYTHON, "ip": user.ip, "userAgent": devices.USER_AGENT},
        "userId": None,
        "type": "track",
        "event": name,
        "messageId": dice.uuid(),
    }
    _server_ids(call, event, numbers=True)
    if not call.in_batch:
        event["sentAt"] = f"{format_time(call.received - 40)[:-1]}{dice.below(1000):03d}+00:00"
    return event


def analytics_node(call: Call) -> JsonObject:
    """Make an event as Segment's library for Node sends it."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(SERVER_EVENTS)
    moment = call.received - 60 - dice.below(9000)
    event: JsonObject = {
        "properties": properties(dice, user),
        "type": "track",
        "event": name,
        "context": {
            "library": devices.NODE,
            "traits": user.traits,
            "locale": user.home.locale,
            "ip": user.ip,
        },
        "integrations": {},
        "timestamp": format_time(moment),
        "messageId": f"node-next-{moment}-{dice.uuid()}",
        "_metadata": devices.NODE_METADATA,
    }
    if dice.random() < 0.9:  # noqa: PLR2004  a share
        del event["context"]["traits"]
    _server_ids(call, event, numbers=False)
    if not call.in_batch:
        event["sentAt"] = format_time(call.received - 5 - dice.below(50))
    return event


def analytics_php(call: Call) -> JsonObject:
    """Make an event as Segment's library for PHP sends it: an empty object is an empty array."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(SERVER_EVENTS)
    event: JsonObject = {
        "event": name,
        "properties": properties(dice, user) or [],
        "context": {"library": devices.PHP, "ip": user.ip, "userAgent": devices.USER_AGENT},
        "timestamp": f"{format_time(call.received - 300)[:-5]}+00:00",
        "messageId": dice.uuid(),
        "type": "track",
    }
    _server_ids(call, event, numbers=True)
    return event


def http_api(call: Call) -> JsonObject:
    """Make an event as plain calls of the HTTP tracking API send it: often without a message id."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(SERVER_EVENTS)
    event: JsonObject = {"event": name, "properties": properties(dice, user)}
    _server_ids(call, event, numbers=True)
    event["context"] = {"ip": user.ip}
    if dice.random() < 0.5:  # noqa: PLR2004
        event["timestamp"] = format_time(call.received - 100)[:-5] + "Z"
    if dice.random() < 0.5:  # noqa: PLR2004
        event["messageId"] = dice.uuid()
    return event


def intilery(call: Call) -> JsonObject:
    """Make an event in Intilery's older form: `action` for `type`, and times without a zone."""
    dice, user = call.dice, call.user
    name, properties = dice.pick(BROWSER_EVENTS)
    event: JsonObject = {"action": "track", "event": name, "anonymousId": user.anonymous_id}
    if user.user_id is not None:
        event["userId"] = user.user_id
    event["properties"] = properties(dice, user)
    event["context"] = {
        "page": dice.pick(devices.PAGES),
        **devices.BROWSERS[user.choice % len(devices.BROWSERS)],
        "ip": user.ip,
        "library": devices.INTILERY,
    }
    event["messageId"] = f"itl-{dice.below(1 << 48):012x}"
    event["timestamp"] = format_time(call.received - 150).replace("T", " ")[:-1]
    return event


DEVICE_SENDERS: Final[dict[str, Sender]] = {
    "browser": analytics_js,
    "ios": analytics_ios,
    "android": analytics_android,
}
SERVER_SENDERS: Final[tuple[Sender, ...]] = weighted(
    (
        (analytics_python, 7),
        (analytics_node, 7),
        (http_api, 4),
        (analytics_php, 4),
        (intilery, 3),
    )
)
BATCHING_SERVERS: Final[tuple[Sender, ...]] = (
    analytics_python,
    analytics_node,
    analytics_php,
    http_api,
)
