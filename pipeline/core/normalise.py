"""Turns a `TrackEvent`, with its origin, into the enriched event (contract §4)."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, ValidationError

from pipeline.core.currencies import withdrawn
from pipeline.core.decode import BYTE_ORDER_MARK
from pipeline.core.encode import encode_event, encode_sorted
from pipeline.core.enriched_event import IDENTIFY, OUR_FIELDS, TRACK, EnrichedEvent
from pipeline.core.event_times import TIMES, set_times
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
from pipeline.core.validate import TrackEvent
from pipeline.core.write_keys import WRITE_KEY_NAMES, url_with_key

MAX_WARNINGS = 32

_TRUE: Final = Raw(b"true")
_EMPTY: Final[Members] = {}
_OURS: Final = frozenset(OUR_FIELDS)
_NOT_COPIED: Final = WRITE_KEY_NAMES | _OURS
_POINTERS: Final = [f"/{name}" for name in TIMES]


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
    (
        _name,
        user_id,
        anonymous_id,
        properties,
        context,
        traits,
        integrations,
        defaulted,
        revenue,
        amount,
        value,
        currency,
    ) = track
    get = members.get
    sent = get("messageId")
    message_id = None if sent is None else read_value(sent)
    if type(message_id) is not str or not message_id or message_id != message_id.strip():
        message_id = _message_id(message_id, findings, origin, original)
    if message_id in PLACEHOLDERS:
        findings.warn(WarningCode.ID_PLACEHOLDER, "/messageId")
    enriched = EnrichedEvent(TRACK, get("event"), message_id, user_id, anonymous_id)
    moment, timestamp_source = set_times(members, enriched, findings, origin.timestamp, typed)
    if typed is not None:
        typed.revenue, typed.value, typed.currency = amount, value, currency
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
