"""Turns a `TrackEvent`, with its origin, into the enriched event (contract §4)."""

from __future__ import annotations

from typing import Final

from tests.oracle.contract_1.encode import encode_sorted
from tests.oracle.contract_1.findings import Findings
from tests.oracle.contract_1.identities import generated_message_id, identify_message_id, read_id
from tests.oracle.contract_1.json_value import JsonObject, JsonValue
from tests.oracle.contract_1.origin import Origin
from tests.oracle.contract_1.policy import Policy
from tests.oracle.contract_1.reasons import WarningCode
from tests.oracle.contract_1.timestamps import DAY, MAX_MS, MIN_MS, format_time, read_time
from tests.oracle.contract_1.validate import TRACK, TrackEvent

MAX_WARNINGS = 32

OUR_FIELDS: Final = (
    "type",
    "event",
    "messageId",
    "userId",
    "anonymousId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "receivedAt",
    "properties",
    "traits",
    "context",
    "integrations",
    "enrichment",
)
"""Top-level fields of an enriched event in their fixed order. Unknown ones follow as sent."""

_Time = tuple[int, str]
"""A time: epoch milliseconds and canonical text."""

_NOT_UNKNOWN: Final = frozenset((*OUR_FIELDS, "writeKey"))


def normalise(
    track: TrackEvent,
    findings: Findings,
    policy: Policy,
    origin: Origin,
    original: bytes,
) -> JsonObject:
    """The enriched event with its fields in order.

    A missing receivedAt is taken from `origin`; a missing messageId is generated from `origin` and
    `original`, the event's own bytes.
    """
    raw, event, user_id, anonymous_id, properties, context, integrations, defaulted = track
    enriched: JsonObject = {"type": TRACK, "event": event}
    message_id = raw.get("messageId")
    if type(message_id) is not str or not message_id or message_id != message_id.strip():
        message_id = _message_id(message_id, findings, origin, original)
    enriched["messageId"] = message_id
    if user_id is not None:
        enriched["userId"] = user_id
    if anonymous_id is not None:
        enriched["anonymousId"] = anonymous_id
    timestamp_source = _set_times(raw, enriched, findings, origin.timestamp)
    enriched["properties"] = properties
    if "traits" in context or "traits" in raw:
        _set_traits(track, enriched, findings)
    enriched["context"] = context
    if integrations is not None:
        enriched["integrations"] = integrations
    if "enrichment" in raw:
        defaulted = _replace_enrichment(track, findings, policy) or defaulted
    enrichment: JsonObject = {"currencyDefaulted": True} if defaulted else {}
    if timestamp_source is not None:
        enrichment["timestampSource"] = timestamp_source
    if findings.warnings:
        enrichment["warnings"] = findings.warnings[:MAX_WARNINGS]
    enriched["enrichment"] = enrichment
    if not _NOT_UNKNOWN.issuperset(raw) or (policy.keep_write_key and "writeKey" in raw):
        _copy_unknown(raw, enriched, policy)
    return enriched


def _message_id(
    sent: JsonValue,
    findings: Findings,
    origin: Origin,
    original: bytes,
) -> str:
    usable = read_id(sent)
    if type(usable) is not str:
        findings.warn(WarningCode.MESSAGE_ID_GENERATED, "/messageId")
        return generated_message_id(origin.message_id_source(), original)
    if type(sent) is not str:
        findings.warn(WarningCode.ID_STRINGIFIED, "/messageId")
    return usable


def _set_times(  # noqa: C901  four times the same, unrolled: it runs for every event
    raw: JsonObject, enriched: JsonObject, findings: Findings, record_time: int | None
) -> str | None:
    """Set the four time fields; returns the `timestampSource`.

    Segment's formula, timestamp = receivedAt - (sentAt - originalTimestamp), corrects the error
    of the client's clock.
    """
    get = raw.get
    given = original = sent = received = None
    if (value := get("timestamp")) is not None and (given := read_time(value)) is None:
        findings.warn(WarningCode.TIMESTAMP_UNPARSABLE, "/timestamp")
    if (value := get("originalTimestamp")) is not None and (original := read_time(value)) is None:
        findings.warn(WarningCode.TIMESTAMP_UNPARSABLE, "/originalTimestamp")
    if (value := get("sentAt")) is not None and (sent := read_time(value)) is None:
        findings.warn(WarningCode.TIMESTAMP_UNPARSABLE, "/sentAt")
    if (value := get("receivedAt")) is not None and (received := read_time(value)) is None:
        findings.warn(WarningCode.TIMESTAMP_UNPARSABLE, "/receivedAt")
    client = given if original is None else original
    if received is None:
        received = _received(record_time, sent, client, findings)
    moment: _Time | None = given
    source: str | None = "given"  # with both times it was corrected upstream
    if given is None or original is None:
        moment, source = _event_time(client, sent, received, findings)
    if moment is not None:
        enriched["timestamp"] = moment[1]
        if received is not None and moment[0] - received[0] > DAY:
            findings.warn(WarningCode.TIMESTAMP_IN_FUTURE, "/timestamp")
    if client is not None:
        enriched["originalTimestamp"] = client[1]
    if sent is not None:
        enriched["sentAt"] = sent[1]
    if received is not None:
        enriched["receivedAt"] = received[1]
    return source


def _received(
    record_time: int | None, sent: _Time | None, client: _Time | None, findings: Findings
) -> _Time | None:
    """Time of receipt of an event without a usable receivedAt; never the wall clock."""
    if record_time is not None:
        return record_time, format_time(record_time)
    if sent is None and client is None:
        findings.warn(WarningCode.RECEIVED_AT_UNKNOWN, "/receivedAt")
    return client if sent is None else sent


def _event_time(
    client: _Time | None, sent: _Time | None, received: _Time | None, findings: Findings
) -> tuple[_Time | None, str | None]:
    """Time of an event that was not corrected upstream, and its `timestampSource`."""
    if client is None:
        return received, None if received is None else "received"
    if sent is None or received is None:
        return client, "original"
    delay = sent[0] - client[0]
    if delay < 0:
        findings.warn(WarningCode.SENT_BEFORE_ORIGINAL, "/sentAt")
        return received, "received"
    moment = received[0] - delay
    if MIN_MS <= moment <= MAX_MS:
        return (moment, format_time(moment)), "corrected"
    findings.warn(WarningCode.TIMESTAMP_OUT_OF_RANGE, "/timestamp")
    return received, "received"


def has_promoted_traits(track: TrackEvent) -> bool:
    """Whether the event has user traits that are promoted: a non-empty object."""
    traits = track.context.get("traits")
    return type(traits) is dict and bool(traits)


def _set_traits(track: TrackEvent, enriched: JsonObject, findings: Findings) -> None:
    """Promote a non-empty context.traits, which takes precedence over top-level traits."""
    top_level = track.raw.get("traits")
    promoted: JsonObject = track.context.get("traits") or {}
    if not has_promoted_traits(track):
        if top_level is not None:
            enriched["traits"] = top_level
        return
    if type(top_level) is dict:
        # Compared as JSON, since in Python 1 equals true. The order of members does not matter.
        if any(
            encode_sorted(top_level[name]) != encode_sorted(value)
            for name, value in promoted.items()
            if name in top_level
        ):
            findings.warn(WarningCode.TRAITS_CONFLICT, "/traits")
        promoted = {**top_level, **promoted}
    elif top_level is not None:
        findings.warn(WarningCode.TRAITS_CONFLICT, "/traits")
    enriched["traits"] = promoted


def _replace_enrichment(track: TrackEvent, findings: Findings, policy: Policy) -> bool:
    """Whether an enrichment that was sent says that the currency is a default, and it still is.

    A default currency must not pass for one that was sent when an event is processed twice.
    """
    earlier = track.raw["enrichment"]
    if earlier is None:
        return False
    findings.warn(WarningCode.ENRICHMENT_REPLACED, "/enrichment")
    return (
        type(earlier) is dict
        and earlier.get("currencyDefaulted") is True
        and track.properties.get("currency") == policy.default_currency
    )


def _copy_unknown(raw: JsonObject, enriched: JsonObject, policy: Policy) -> None:
    for name, value in raw.items():
        if name not in _NOT_UNKNOWN or (name == "writeKey" and policy.keep_write_key):
            enriched[name] = value


def identify_message(enriched: JsonObject) -> JsonObject:
    """Identify message of an event whose traits were promoted (Segment, "Sending Traits")."""
    message: JsonObject = {
        name: enriched[name]
        for name in OUR_FIELDS
        if name in enriched and name not in {"event", "properties", "enrichment"}
    }
    message["type"] = "identify"
    message["messageId"] = identify_message_id(enriched["messageId"])
    return message
