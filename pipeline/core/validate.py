"""The rules of contract §3: turn raw members into a `TrackEvent`, or reject with every violation.

Each rule is one function. `validate` calls it only for values that are not obviously valid.
Findings collect violations and warnings in the order of the rules. The rules of the reserved
properties (revenue, value, currency) are in `reserved.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Raw, ValidationError

from pipeline.core.enriched_event import TRACK
from pipeline.core.findings import Findings
from pipeline.core.identities import PLACEHOLDERS, Unusable, near_id_name, read_id
from pipeline.core.json_value import JsonValue
from pipeline.core.members import (
    EMPTY_OBJECT,
    Members,
    is_empty_array,
    is_object,
    kind_of,
    read_members,
    read_value,
)
from pipeline.core.other_calls import OTHER_CALLS, TRACK_CALL, call_of
from pipeline.core.policy import Policy
from pipeline.core.raw_event import (
    ABSENT,
    CONTEXT_TYPES,
    NO_CONTEXT,
    NO_RESERVED,
    ContextFields,
    read_context,
    read_reserved,
)
from pipeline.core.reasons import Invalid, Reason, Stage, WarningCode
from pipeline.core.record import Revenue, new_tuple
from pipeline.core.reserved import check_reserved
from pipeline.core.write_keys import without_write_key

_TYPE_NAMES: Final = {
    bool: "a boolean",
    dict: "an object",
    str: "a string",
    list: "an array",
    int: "a number",
    type(None): "null",
}


class TrackEvent(NamedTuple):
    """A valid event: every field satisfies its rule. Raw ones are as they were sent."""

    name: str
    user_id: str | None
    anonymous_id: str | None
    properties: Raw
    """Properties, the reserved ones normalised."""
    context: Raw
    traits: Raw
    """`context.traits` when it is an object, otherwise ABSENT."""
    integrations: Raw | None
    currency_defaulted: bool
    revenue: Revenue | None
    """The revenue with its currency; None when there is none, or one of them is invalid."""
    amount: int | Decimal | None
    """Number of the revenue; None when there is none, or a rule let an invalid one pass."""
    value: int | Decimal | None
    currency: str | None


def validate(  # noqa: C901, PLR0912  a condition for each rule
    members: Members, findings: Findings, policy: Policy
) -> TrackEvent | Invalid:
    """Apply every rule to an event.

    The conditions here only recognise what is obviously valid; the rules decide the rest. Raises
    msgspec.ValidationError for a number of thousands of digits where a rule needs a value.
    """
    get = members.get
    if get("type") != TRACK_CALL and not _is_track(members, findings):
        return Invalid(Stage.VALIDATE, findings.violations)
    sent = get("event")
    event = None if sent is None else read_value(sent)
    if type(event) is not str or not event or event.strip() != event:
        event = _check_event(event, findings)
    sent = get("userId")
    user_id = None if sent is None else read_value(sent)
    sent = get("anonymousId")
    anonymous_id = None if sent is None else read_value(sent)
    if not (
        (user_id is None or (type(user_id) is str and user_id.strip() == user_id))
        and (
            anonymous_id is None
            or (type(anonymous_id) is str and anonymous_id.strip() == anonymous_id)
        )
        and user_id != ""
        and anonymous_id != ""
        and (user_id or anonymous_id)
    ):
        user_id, anonymous_id = _check_ids(members, user_id, anonymous_id, findings, policy)
    if user_id in PLACEHOLDERS or anonymous_id in PLACEHOLDERS:
        _warn_of_placeholders(user_id, anonymous_id, findings)
    properties = get("properties")
    reserved = NO_RESERVED
    if properties is not None:
        try:
            reserved = read_reserved(properties)
        except ValidationError:
            properties = _to_object(properties, "properties", findings)
    context = get("context")
    fields = NO_CONTEXT
    is_regular = True
    if context is not None:
        try:
            fields = read_context(context)
            is_regular = not fields.traits or is_object(fields.traits)
        except ValidationError:
            context = _to_object(context, "context", findings)
            is_regular = False
    integrations = get("integrations")
    if integrations is not None and integrations != EMPTY_OBJECT:
        integrations = _to_object(integrations, "integrations", findings)
    if context is not None:
        if not is_regular:
            fields = _check_context(context, findings, policy)
        if fields.query_parameters and not policy.keep_write_key:
            context = without_write_key(context)
    revenue, defaulted = None, False
    amount = value = currency = None
    if reserved != NO_RESERVED or policy.default_always:
        checked = check_reserved(properties or EMPTY_OBJECT, reserved, findings, policy)
        properties, defaulted, revenue, amount, value, currency = checked
    if findings.violations:
        return Invalid(Stage.VALIDATE, findings.violations)
    return new_tuple(
        TrackEvent,
        (
            event,
            user_id,
            anonymous_id,
            properties or EMPTY_OBJECT,
            context or EMPTY_OBJECT,
            fields.traits,
            integrations,
            defaulted,
            revenue,
            amount,
            value,
            currency,
        ),
    )


def _is_track(members: Members, findings: Findings) -> bool:
    """Whether a call is track. Another one has no violation but this: the rules are track's."""
    pointer, sent = call_of(members)
    kind = None if sent is None else read_value(sent)
    if sent is None or kind == TRACK:
        return True
    if type(kind) is str and _is_spelled_otherwise(kind):
        findings.warn(WarningCode.TYPE_NORMALISED, pointer)
        return True
    detail = "only track calls are processed; on_other_type decides what becomes of others"
    if type(kind) is not str or kind.strip().lower() not in OTHER_CALLS:
        detail = "this is no call of a tracking API: track calls are processed, and others rejected"
    findings.reject(Reason.UNSUPPORTED_TYPE, pointer, detail)
    return False


def _is_spelled_otherwise(kind: str) -> bool:
    """Whether this is track in another case or padded. The lower case of a Kelvin sign is "k"."""
    word = kind.strip()
    return word.isascii() and word.lower() == TRACK


def _check_event(event: JsonValue, findings: Findings) -> str:
    if type(event) is str:
        if event.strip():
            findings.warn(WarningCode.EVENT_NAME_PADDED, "/event")
        else:
            findings.reject(Reason.EVENT_BLANK, "/event", "the event name is blank")
        return event
    if event is None:
        findings.reject(Reason.EVENT_NOT_DEFINED, "/event", "the event name is missing")
    else:
        detail = f"the event name is {_type_name(event)}, not a string"
        findings.reject(Reason.EVENT_NOT_STRING, "/event", detail)
    return ""


def _type_name(value: JsonValue) -> str:
    return _TYPE_NAMES.get(type(value), "a number")


def _check_ids(
    members: Members,
    sent_user: JsonValue,
    sent_anonymous: JsonValue,
    findings: Findings,
    policy: Policy,
) -> tuple[str | None, str | None]:
    user_id = read_id(sent_user)
    anonymous_id = read_id(sent_anonymous)
    if type(user_id) is str:
        if type(sent_user) is not str:
            findings.warn(WarningCode.ID_STRINGIFIED, "/userId")
    elif isinstance(user_id, Unusable):
        _report_unusable_id("userId", sent_user, findings, policy)
        user_id = None
    if type(anonymous_id) is str:
        if type(sent_anonymous) is not str:
            findings.warn(WarningCode.ID_STRINGIFIED, "/anonymousId")
    elif isinstance(anonymous_id, Unusable):
        if user_id is None:
            _report_unusable_id("anonymousId", sent_anonymous, findings, policy)
        else:
            findings.warn(WarningCode.ID_NOT_STRING, "/anonymousId")
        anonymous_id = None
    if user_id is None and anonymous_id is None:
        detail = "neither userId nor anonymousId is usable" + near_id_name(members)
        findings.reject(Reason.NO_USER_ANON_ID, "", detail)
    return user_id, anonymous_id


def _warn_of_placeholders(
    user_id: str | None, anonymous_id: str | None, findings: Findings
) -> None:
    for name, sent in (("userId", user_id), ("anonymousId", anonymous_id)):
        if sent in PLACEHOLDERS:
            findings.warn(WarningCode.ID_PLACEHOLDER, f"/{name}")


def _report_unusable_id(name: str, sent: JsonValue, findings: Findings, policy: Policy) -> None:
    detail = f"{name} is {_type_name(sent)} that can't be read as an id"
    findings.reject_or_warn(Reason.ID_NOT_STRING, f"/{name}", detail, policy)


_NOT_OBJECT: Final = {
    "properties": Reason.PROPERTIES_NOT_OBJECT,
    "context": Reason.CONTEXT_NOT_OBJECT,
    "integrations": Reason.INTEGRATIONS_NOT_OBJECT,
}


def _to_object(sent: Raw, name: str, findings: Findings) -> Raw | None:
    """The object that a field stands for; None for null, and for a violation."""
    kind = kind_of(sent)
    if kind is dict:
        return sent
    if kind is type(None):
        return None
    if is_empty_array(sent):
        findings.warn(WarningCode.EMPTY_ARRAY_FOR_OBJECT, f"/{name}")
        return EMPTY_OBJECT
    detail = f"{name} is {_TYPE_NAMES[kind]}, not an object"
    findings.reject(_NOT_OBJECT[name], f"/{name}", detail)
    return None


def _check_context(context: Raw, findings: Findings, policy: Policy) -> ContextFields:
    """Report the fields of `context` that do not have the specified type, and read the others."""
    fields = read_members(context)
    for name, value in fields.items():
        expected, kind = CONTEXT_TYPES.get(name), kind_of(value)
        if expected not in {None, kind} and kind is not type(None):
            _report_context_field(name, value, findings, policy)
    traits = fields.get("traits", ABSENT)
    return ContextFields(
        traits if traits and is_object(traits) else ABSENT, fields.get("query_parameters", ABSENT)
    )


def _report_context_field(name: str, value: Raw, findings: Findings, policy: Policy) -> None:
    pointer, code = f"/context/{name}", Reason.CONTEXT_FIELD_TYPE
    if name == "traits":
        code = Reason.TRAITS_NOT_OBJECT
        if is_empty_array(value):
            findings.warn(WarningCode.EMPTY_ARRAY_FOR_OBJECT, pointer)
            return
    kinds = _TYPE_NAMES[kind_of(value)], _TYPE_NAMES[CONTEXT_TYPES[name]]
    detail = f"context.{name} is {kinds[0]}, not {kinds[1]}"
    findings.reject_or_warn(code, pointer, detail, policy)
