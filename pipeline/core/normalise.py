"""Turns a `TrackEvent`, with its origin, into the enriched event (contract §4)."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, ValidationError

from pipeline.core.decode import BYTE_ORDER_MARK
from pipeline.core.encode import encode_sorted
from pipeline.core.enriched_event import IDENTIFY, OUR_FIELDS, TRACK, EnrichedEvent
from pipeline.core.findings import Findings
from pipeline.core.identities import generated_message_id, identify_message_id, read_id
from pipeline.core.json_value import JsonValue
from pipeline.core.members import (
    Members,
    RawMember,
    every_member,
    is_empty,
    is_null,
    is_object,
    joined,
    read_members,
    read_value,
)
from pipeline.core.origin import Origin
from pipeline.core.policy import Policy
from pipeline.core.reasons import WarningCode
from pipeline.core.timestamps import DAY, MAX_MS, MIN_MS, format_time, read_time
from pipeline.core.validate import TrackEvent

MAX_WARNINGS = 32

_Time = tuple[int, str]
"""A time: epoch milliseconds and canonical text."""

_TRUE: Final = Raw(b"true")
_NOT_UNKNOWN: Final = frozenset((*OUR_FIELDS, "writeKey"))


def normalise(  # noqa: PLR0913, PLR0917  what is known about the event
    members: Members,
    track: TrackEvent,
    findings: Findings,
    policy: Policy,
    origin: Origin,
    original: bytes,
) -> EnrichedEvent:
    """The enriched event.

    A missing receivedAt is taken from `origin`; a missing messageId is generated from `origin` and
    `original`, the event's own bytes.
    """
    _name, user_id, anonymous_id, properties, context, traits, integrations, defaulted, _ = track
    get = members.get
    sent = get("messageId")
    message_id = None if sent is None else read_value(sent)
    if type(message_id) is not str or not message_id or message_id != message_id.strip():
        message_id = _message_id(message_id, findings, origin, original)
    enriched = EnrichedEvent(TRACK, get("event"), message_id, user_id, anonymous_id)
    timestamp_source = _set_times(members, enriched, findings, origin.timestamp)
    enriched.properties = properties
    if traits or "traits" in members:
        enriched.traits = _traits(traits, members.get("traits"), findings)
    enriched.context = context
    enriched.integrations = integrations
    if "enrichment" in members:
        defaulted = _replace_enrichment(members, properties, findings, policy) or defaulted
    enrichment: dict[str, Any] = {"currencyDefaulted": True} if defaulted else {}
    if timestamp_source is not None:
        enrichment["timestampSource"] = timestamp_source
    if findings.warnings:
        enrichment["warnings"] = findings.warnings[:MAX_WARNINGS]
    enriched.enrichment = enrichment
    return enriched


def other_members(members: Members, sent: bytes, policy: Policy) -> list[RawMember]:
    """The fields that are not ours, in order; `sent` is the object that `members` are of."""
    if _NOT_UNKNOWN.issuperset(members) and not (policy.keep_write_key and "writeKey" in members):
        return []
    return [
        member
        for member in every_member(sent.removeprefix(BYTE_ORDER_MARK))
        if member.name not in _NOT_UNKNOWN or (policy.keep_write_key and member.name == "writeKey")
    ]


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


def _set_times(
    members: Members, enriched: EnrichedEvent, findings: Findings, record_time: int | None
) -> str | None:
    """Set the four time fields; returns the `timestampSource`.

    Segment's formula, timestamp = receivedAt - (sentAt - originalTimestamp), corrects the error
    of the client's clock.
    """
    given = _read_time(members, "timestamp", findings)
    original = _read_time(members, "originalTimestamp", findings)
    sent = _read_time(members, "sentAt", findings)
    received = _read_time(members, "receivedAt", findings)
    client = given if original is None else original
    if received is None:
        received = _received(record_time, sent, client, findings)
    moment: _Time | None = given
    source: str | None = "given"  # with both times it was corrected upstream
    if given is None or original is None:
        moment, source = _event_time(client, sent, received, findings)
    if moment is not None:
        enriched.timestamp = moment[1]
        if received is not None and moment[0] - received[0] > DAY:
            findings.warn(WarningCode.TIMESTAMP_IN_FUTURE, "/timestamp")
    if client is not None:
        enriched.original_timestamp = client[1]
    if sent is not None:
        enriched.sent_at = sent[1]
    if received is not None:
        enriched.received_at = received[1]
    return source


def _read_time(members: Members, name: str, findings: Findings) -> _Time | None:
    sent = members.get(name)
    if sent is None or (value := read_value(sent)) is None:
        return None
    time = read_time(value)
    if time is None:
        findings.warn(WarningCode.TIMESTAMP_UNPARSABLE, f"/{name}")
    return time


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


def _traits(promoted: Raw, top_level: Raw | None, findings: Findings) -> Raw | None:
    """The event's traits: those of the context, which take precedence over top-level ones."""
    if top_level is None or is_null(top_level):
        return promoted if has_traits(promoted) else None
    if not has_traits(promoted):
        return top_level
    if not is_object(top_level):
        findings.warn(WarningCode.TRAITS_CONFLICT, "/traits")
        return promoted
    others = read_members(top_level)
    if any(
        name in others and not _is_equal(others[name], value)
        for name, value in read_members(promoted).items()
    ):
        findings.warn(WarningCode.TRAITS_CONFLICT, "/traits")
    return joined(top_level, promoted)


def has_traits(promoted: Raw) -> bool:
    """Whether there are traits that are promoted: an object with members."""
    return bool(promoted) and not is_empty(promoted)


def _is_equal(one: Raw, other: Raw) -> bool:
    """Whether two values are equal, digit for digit; the order of members does not matter."""
    if one == other:
        return True
    try:
        # Compared as JSON, since in Python 1 equals true.
        return encode_sorted(read_value(one)) == encode_sorted(read_value(other))
    except ValidationError:
        return False  # one of them has a number that is too long to be read


def _replace_enrichment(
    members: Members, properties: Raw, findings: Findings, policy: Policy
) -> bool:
    """Whether an enrichment that was sent says that the currency is a default, and it still is.

    A default currency must not pass for one that was sent when an event is processed twice.
    """
    sent = members["enrichment"]
    if is_null(sent):
        return False
    findings.warn(WarningCode.ENRICHMENT_REPLACED, "/enrichment")
    if not is_object(sent) or read_members(sent).get("currencyDefaulted") != _TRUE:
        return False
    currency = read_members(properties).get("currency")
    return currency is not None and read_value(currency) == policy.default_currency


def identify_message(enriched: EnrichedEvent) -> EnrichedEvent:
    """Identify message of an event whose traits were promoted (Segment, "Sending Traits")."""
    return EnrichedEvent(
        IDENTIFY,
        message_id=identify_message_id(enriched.message_id or ""),
        user_id=enriched.user_id,
        anonymous_id=enriched.anonymous_id,
        timestamp=enriched.timestamp,
        original_timestamp=enriched.original_timestamp,
        sent_at=enriched.sent_at,
        received_at=enriched.received_at,
        traits=enriched.traits,
        context=enriched.context,
        integrations=enriched.integrations,
    )
