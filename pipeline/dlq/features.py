"""Features of an event: its sender, its origin, its time, and the presence and types of members.

Features describe events as they were sent, so that dead letters and enriched events can be
compared: what the rules change in a good event (a number that was sent as text, a default currency)
is undone here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

from msgspec import Raw

from pipeline.core.coordinates import Source, parse_source
from pipeline.core.decoded_value import decoded_value
from pipeline.core.headers import TrackHeader
from pipeline.core.json_value import JsonValue
from pipeline.core.money import is_set
from pipeline.core.reasons import Stage, WarningCode
from pipeline.core.record import Record
from pipeline.core.timestamps import time_text
from pipeline.dlq.dead_letter import DeadLetter

LIBRARY: Final = "library"
LIBRARY_VERSION: Final = "library version"
EVENT: Final = "event"
APP_VERSION: Final = "app version"
PARTITION: Final = "raw partition"
HOST: Final = "host"
PAGE: Final = "page"
HOUR: Final = "hour"
MEMBER: Final = "member"
TYPE: Final = "type"
HOLDER: Final = "holder"
"""An object whose members can be read; only in such an object can a member be missing."""

_MOST_PROPERTIES: Final = 200
LONGEST: Final = 120
"""Number of characters of a name or value that are compared."""
_HOUR_LENGTH: Final = len("2026-11-23T02")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)([^?#]*)")
_TYPES: Final = {
    str: "text",
    int: "a number",
    Decimal: "a number",
    Raw: "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}
_IDS: Final = ("userId", "anonymousId")
_WAS: Final = {
    WarningCode.NUMBER_FROM_STRING.value: "text",
    WarningCode.ID_STRINGIFIED.value: "a number",
}
"""Type that a value had before the rule of the warning changed it."""


class Feature(NamedTuple):
    """A property by which events can be compared."""

    about: str
    value: str
    """Value of the property; empty when the event has none. For a member and its type, the JSON
    Pointer; for a library version, the library; for a page, the host."""
    more: str = ""
    """Type, version, or path of the page; empty for all other features."""

    @property
    def text(self) -> str:
        """Value and detail as one text for people; nothing parses it."""
        if self.about == TYPE:
            return f"{self.value} is {self.more}"
        if self.about == LIBRARY_VERSION:
            return f"{self.value} {self.more or 'without a version'}"
        return self.value + self.more

    @property
    def holder(self) -> Feature:
        """Object that a member would be in."""
        return Feature(HOLDER, self.value.rpartition("/")[0])

    def generalises(self, other: Feature) -> bool:
        """Whether the other feature implies this one by its meaning."""
        return (self.about, other.about) in _GENERAL and self.value == other.value


_GENERAL: Final = frozenset({(LIBRARY, LIBRARY_VERSION), (MEMBER, TYPE), (HOST, PAGE)})

READABLE: Final = Feature(HOLDER, "")
"""Feature of every event whose value can be read."""


def of_dead_letter(dead_letter: DeadLetter) -> frozenset[Feature]:
    """Features of the event in a dead letter."""
    # What killed a process is not decoded in this one.
    event = None if dead_letter.stage == Stage.CRASH else dead_letter.event_object
    time = dead_letter.source_timestamp or dead_letter.failed_at
    found = {*_place(dead_letter.source, time)}
    if event is not None:
        found |= {*_event(event, {})}
    elif dead_letter.library or dead_letter.event:
        found |= {
            *_library(*dead_letter.library.rpartition("/")[::2]),
            Feature(EVENT, dead_letter.event),
        }
    return frozenset(found)


def of_enriched(record: Record) -> frozenset[Feature] | None:
    """Features of an enriched event as it was sent; None for a record that is no enriched event."""
    event = decoded_value(record.value)
    if type(event) is not dict:
        return None
    source = parse_source(dict(record.headers).get(TrackHeader.SOURCE) or b"")
    return frozenset((*_place(source, record.timestamp or 0), *_event(event, _as_sent(event))))


def _as_sent(event: dict[str, Any]) -> dict[str, str]:
    """Pointer → type that a member had before the rules; empty when it was absent."""
    enrichment = event.get("enrichment")
    if type(enrichment) is not dict:
        return {}
    was = {}
    warnings = enrichment.get("warnings")
    for text in warnings if type(warnings) is list else ():
        code, _, pointer = str(text).partition(" ")
        if code in _WAS:
            was[pointer] = _WAS[code]
    if enrichment.get("currencyDefaulted") is True:
        was.setdefault("/properties/currency", "")
    return was


def _place(source: Source | None, time: int) -> Iterator[Feature]:
    if source is not None:
        yield Feature(PARTITION, f"{source.topic}/{source.partition}")
    text = time_text(time) if time > 0 else None
    if text is not None:
        yield Feature(HOUR, f"{text[:_HOUR_LENGTH]}:00Z")


def _event(event: dict[str, Any], was: dict[str, str]) -> Iterator[Feature]:
    name = event.get("event")
    yield Feature(EVENT, name[:LONGEST] if type(name) is str else "")
    context = _object(event.get("context"))
    library = _object(context.get("library"))
    yield from _library(_text(library.get("name")), _text(library.get("version")))
    yield Feature(APP_VERSION, _text(_object(context.get("app")).get("version")))
    yield from _page(_text(_object(context.get("page")).get("url")))
    yield from _members(event, was)


def _members(event: dict[str, Any], was: dict[str, str]) -> Iterator[Feature]:
    """Ids and properties; null and blank count as absent, as the rules have it."""
    yield READABLE
    values = {f"/{name}": event[name] for name in _IDS if is_set(event.get(name))}
    properties = event.get("properties")
    if type(properties) is dict:
        yield Feature(HOLDER, "/properties")
        for name, value in islice(properties.items(), _MOST_PROPERTIES):
            if is_set(value):
                values[f"/properties/{_step(name[:LONGEST])}"] = value
    elif is_set(properties):
        yield Feature(TYPE, "/properties", _TYPES[type(properties)])
    types = {pointer: _TYPES[type(value)] for pointer, value in values.items()} | was
    for pointer, type_name in types.items():
        if type_name:
            yield Feature(MEMBER, pointer)
            yield Feature(TYPE, pointer, type_name)


def _step(name: str) -> str:
    """Escape a name as a step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _library(name: str, version: str) -> Iterator[Feature]:
    yield Feature(LIBRARY, name)
    if name:
        yield Feature(LIBRARY_VERSION, name, version)


def _page(url: str) -> Iterator[Feature]:
    match = _URL.match(url)
    host = match[1].lower() if match else ""
    yield Feature(HOST, host)
    if match and host:
        yield Feature(PAGE, host, match[2][:LONGEST])


def _object(value: JsonValue) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _text(value: JsonValue) -> str:
    return value[:LONGEST] if type(value) is str else ""
