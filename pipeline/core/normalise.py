"""Turns a `TrackEvent`, with its origin, into the enriched event (contract §4)."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, ValidationError

from pipeline.core.currencies import withdrawn
from pipeline.core.decode import BYTE_ORDER_MARK
from pipeline.core.encode import encode_event, encode_sorted
from pipeline.core.enriched_event import IDENTIFY, OUR_FIELDS, TRACK, EnrichedEvent
from pipeline.core.findings import MAX_UNREADABLE, Findings
from pipeline.core.formats import TypedValues
from pipeline.core.identities import (
    PLACEHOLDERS,
    generated_message_id,
    identify_message_id,
    read_id,
)
from pipeline.core.json_value import JsonValue
from pipeline.core.members import (
    Members,
    decoded,
    is_empty,
    is_null,
    is_object,
    joined,
    kind_of,
    read_members,
    read_value,
    written_without,
)
from pipeline.core.origin import Origin
from pipeline.core.policy import Policy
from pipeline.core.reasons import WarningCode
from pipeline.core.timestamps import DAY, MIN_MS, Y2000, format_time, read_time
from pipeline.core.validate import TrackEvent
from pipeline.core.write_keys import WRITE_KEY_NAMES, url_with_key

MAX_WARNINGS = 32

_Time = tuple[int, str]
"""A time: epoch milliseconds and canonical text."""

_TRUE: Final = Raw(b"true")
_EMPTY: Final[Members] = {}
_OURS: Final = frozenset(OUR_FIELDS)
_NOT_COPIED: Final = WRITE_KEY_NAMES | _OURS
TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_POINTERS: Final = [f"/{name}" for name in TIMES]
_TEN_YEARS: Final = 3_653 * DAY


def normalise(  # noqa: PLR0913, PLR0917  what is known about the event
    members: Members,
    track: TrackEvent,
    findings: Findings,
    policy: Policy,
    origin: Origin,
    original: bytes,
    typed: TypedValues | None = None,
) -> EnrichedEvent:
    """The enriched event; `typed` gets what typed formats need besides.

    A missing receivedAt is taken from `origin`; a missing messageId is generated from `origin` and
    `original`, the event's own bytes.
    """
    _, user_id, anonymous_id, properties, context, traits, integrations, defaulted, *_ = track
    revenue = track.revenue
    get = members.get
    sent = get("messageId")
    message_id = None if sent is None else read_value(sent)
    if type(message_id) is not str or not message_id or message_id != message_id.strip():
        message_id = _message_id(message_id, findings, origin, original)
    if message_id in PLACEHOLDERS:
        findings.warn(WarningCode.ID_PLACEHOLDER, "/messageId")
    enriched = EnrichedEvent(TRACK, get("event"), message_id, user_id, anonymous_id)
    moment, timestamp_source = _set_times(members, enriched, findings, origin.timestamp, typed)
    if typed is not None:
        typed.revenue, typed.value, typed.currency = track.amount, track.value, track.currency
    if revenue is not None and moment is not None and withdrawn(revenue[0], moment[0]):
        findings.warn(WarningCode.CURRENCY_WITHDRAWN, "/properties/currency")
    enriched.properties = properties
    if traits or "traits" in members:
        enriched.traits = _traits(traits, members.get("traits"), findings)
    enriched.context = context
    enriched.integrations = integrations
    unreadable = findings.unreadable
    if "enrichment" in members:
        earlier = _replaced_enrichment(members["enrichment"], findings)
        defaulted = defaulted or _was_defaulted(earlier, properties, policy)
        unreadable = _ever_unreadable(earlier, unreadable)
    enrichment: dict[str, Any] = {"currencyDefaulted": True} if defaulted else {}
    if timestamp_source is not None:
        enrichment["timestampSource"] = timestamp_source
    if unreadable:
        enrichment["unreadable"] = unreadable
    if findings.warnings:
        enrichment["warnings"] = findings.warnings[:MAX_WARNINGS]
    enriched.enrichment = enrichment
    return enriched


def other_members(members: Members, sent: bytes, policy: Policy) -> bytes:
    """The fields that are not ours as JSON, in order; `sent` is the event that has `members`."""
    not_copied = _OURS if policy.keep_write_key else _NOT_COPIED
    if not_copied.issuperset(members):
        return b""
    return written_without(sent.removeprefix(BYTE_ORDER_MARK), not_copied)


def warn_of_write_key(enriched: EnrichedEvent, others: bytes, findings: Findings) -> bool:
    """Warn of a write key in a URL of an event; True if there is one.

    The event then has to be written again.
    """
    fields = decoded(read_members(encode_event(enriched, others)))
    del fields["enrichment"]
    pointer = url_with_key(fields)
    if not pointer or enriched.enrichment is None:
        return False
    findings.warn(WarningCode.WRITE_KEY_IN_URL, pointer)
    enriched.enrichment["warnings"] = findings.warnings[:MAX_WARNINGS]
    return True


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
    members: Members,
    enriched: EnrichedEvent,
    findings: Findings,
    record_time: int | None,
    typed: TypedValues | None,
) -> tuple[_Time | None, str | None]:
    """Set the four time fields; returns the timestamp and the `timestampSource`.

    Segment's formula, timestamp = receivedAt - (sentAt - originalTimestamp), corrects the error
    of the client's clock.
    """
    get = members.get
    given = original = sent = received = None
    if (value := get("timestamp")) is not None:
        given = _read_time(value, "/timestamp", findings)
    if (value := get("originalTimestamp")) is not None:
        original = _read_time(value, "/originalTimestamp", findings)
    if (value := get("sentAt")) is not None:
        sent = _read_time(value, "/sentAt", findings)
    if (value := get("receivedAt")) is not None:
        received = _read_time(value, "/receivedAt", findings)
    client = given if original is None else original
    if received is None:
        received = _received(record_time, sent, client, findings)
    moment: _Time | None = given
    source: str | None = "given"  # with both times it was corrected upstream
    if given is None or original is None:
        moment, source = _event_time(client, sent, received, findings)
    if moment is not None:
        enriched.timestamp = moment[1]
        if received is not None and (
            moment[0] < Y2000 or not -DAY <= received[0] - moment[0] <= _TEN_YEARS
        ):
            far = _is_far_past(moment[0], received[0])
            code = WarningCode.TIMESTAMP_FAR_PAST if far else WarningCode.TIMESTAMP_IN_FUTURE
            findings.warn(code, "/timestamp")
    if client is not None:
        enriched.original_timestamp = client[1]
    if sent is not None:
        enriched.sent_at = sent[1]
    if received is not None:
        enriched.received_at = received[1]
    if typed is not None:
        typed.timestamp = None if moment is None else moment[0]
        typed.original_timestamp = None if client is None else client[0]
        typed.sent_at = None if sent is None else sent[0]
        typed.received_at = None if received is None else received[0]
    return moment, source


def _read_time(sent: Raw, pointer: str, findings: Findings) -> _Time | None:
    try:
        value = read_value(sent)
    except ValidationError:
        value = sent  # a number of thousands of digits is no time, but no event is rejected for one
    time = read_time(value)
    if time is None and value is not None:
        text = value if type(value) is str else bytes(sent).decode()
        findings.warn_of_unreadable(pointer, text)
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
    if moment < Y2000 or delay > _TEN_YEARS:
        if _is_far_past(client[0], received[0]):
            return client, "original"
        if moment < MIN_MS:
            findings.warn(WarningCode.TIMESTAMP_OUT_OF_RANGE, "/timestamp")
            return received, "received"
    return (moment, format_time(moment)), "corrected"


def _is_far_past(moment: int, received: int) -> bool:
    """Whether an event is so old that its time was probably never set, as in a zero time of Go."""
    return moment < Y2000 or received - moment > _TEN_YEARS


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


def _replaced_enrichment(sent: Raw, findings: Findings) -> Members:
    """Members of an enrichment that was sent, for what the event itself no longer shows."""
    if is_null(sent):
        return _EMPTY
    findings.warn(WarningCode.ENRICHMENT_REPLACED, "/enrichment")
    return read_members(sent) if is_object(sent) else _EMPTY


def _was_defaulted(earlier: Members, properties: Raw, policy: Policy) -> bool:
    """Whether the currency was added when the event was first processed, and is still the same.

    A default currency must not pass for one that was sent.
    """
    if earlier.get("currencyDefaulted") != _TRUE:
        return False
    currency = read_members(properties).get("currency")
    return currency is not None and read_value(currency) == policy.default_currency


def _ever_unreadable(earlier: Members, now: dict[str, str] | None) -> dict[str, str]:
    """Times that can't be read, and those that could not when the event was first processed."""
    sent = earlier.get("unreadable")
    before = read_members(sent) if sent is not None and is_object(sent) else _EMPTY
    texts = {
        pointer: read_value(before[pointer])[:MAX_UNREADABLE]
        for pointer in _POINTERS
        if pointer in before and kind_of(before[pointer]) is str
    }
    return texts | (now or {})


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
