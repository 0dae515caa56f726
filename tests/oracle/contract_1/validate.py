"""The rules of contract §3: turn an object into a `TrackEvent`, or reject it with every violation.

Each rule is one function. `validate` calls it only for values that are not obviously valid.
Findings collect violations and warnings in the order of the rules. The rules of the reserved
properties (revenue, value, currency) are in `reserved.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from tests.oracle.contract_1.findings import Findings
from tests.oracle.contract_1.identities import Unusable, near_id_name, read_id
from tests.oracle.contract_1.json_value import JsonObject, JsonValue
from tests.oracle.contract_1.policy import Policy
from tests.oracle.contract_1.reasons import Invalid, Reason, Stage, WarningCode
from tests.oracle.contract_1.record import new_tuple
from tests.oracle.contract_1.reserved import RESERVED_SPELLINGS, check_reserved

TRACK: Final = "track"

CONTEXT_TYPES: Final[dict[str, type]] = {
    "active": bool,
    "app": dict,
    "campaign": dict,
    "channel": str,
    "device": dict,
    "groupId": str,
    "ip": str,
    "library": dict,
    "locale": str,
    "network": dict,
    "os": dict,
    "page": dict,
    "referrer": dict,
    "screen": dict,
    "timezone": str,
    "traits": dict,
    "userAgent": str,
    "userAgentData": dict,
}
"""Types of the fields of `context`, from Segment's "Spec: Track"."""

_TYPE_NAMES: Final = {
    bool: "a boolean",
    dict: "an object",
    str: "a string",
    list: "an array",
    int: "a number",
    Decimal: "a number",
    type(None): "null",
}


class TrackEvent(NamedTuple):
    """A valid event. Every field below satisfies its rule; `raw` holds all other fields."""

    raw: JsonObject
    event: str
    user_id: str | None
    anonymous_id: str | None
    properties: JsonObject
    """Properties of the event, the reserved ones normalised in place."""
    context: JsonObject
    integrations: JsonObject | None
    currency_defaulted: bool


def validate(  # noqa: C901  a condition for each rule
    raw: JsonObject, findings: Findings, policy: Policy
) -> TrackEvent | Invalid:
    """Apply every rule to a decoded event.

    The conditions here only recognise what is obviously valid; the rules decide the rest.
    """
    get = raw.get
    if get("type") != TRACK:
        _check_type(raw, findings)
    event = get("event")
    if type(event) is not str or not event or event.strip() != event:
        event = _check_event(event, findings)
    user_id, anonymous_id = get("userId"), get("anonymousId")
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
        user_id, anonymous_id = _check_ids(raw, findings, policy)
    properties, context, integrations = get("properties"), get("context"), get("integrations")
    if type(properties) is not dict:
        properties = _to_object(raw, "properties", findings) or {}
    if type(context) is not dict:
        context = _to_object(raw, "context", findings) or {}
    if type(integrations) is not dict:
        integrations = _to_object(raw, "integrations", findings)
    for name, value in context.items():
        kind = type(value)
        if CONTEXT_TYPES.get(name, kind) is not kind and value is not None:
            _check_context_field(name, value, findings, policy)
    defaulted = False
    if policy.default_always or not properties.keys().isdisjoint(RESERVED_SPELLINGS):
        defaulted = check_reserved(properties, findings, policy)
    if findings.violations:
        return Invalid(Stage.VALIDATE, findings.violations)
    return new_tuple(
        TrackEvent,
        (raw, event, user_id, anonymous_id, properties, context, integrations, defaulted),
    )


def _check_type(raw: JsonObject, findings: Findings) -> None:
    """Reject calls other than track: `type`, or else a string `action` (Intilery's older form)."""
    pointer, kind = "/type", raw.get("type")
    if kind is None and type(raw.get("action")) is str:
        pointer, kind = "/action", raw["action"]
    if kind is not None and kind != TRACK:
        findings.reject(
            Reason.UNSUPPORTED_TYPE,
            pointer,
            "only track calls are processed; on_other_type decides what becomes of others",
        )


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
        detail = f"the event name is {_TYPE_NAMES[type(event)]}, not a string"
        findings.reject(Reason.EVENT_NOT_STRING, "/event", detail)
    return ""


def _check_ids(
    raw: JsonObject, findings: Findings, policy: Policy
) -> tuple[str | None, str | None]:
    user_id = read_id(sent_user := raw.get("userId"))
    anonymous_id = read_id(sent_anonymous := raw.get("anonymousId"))
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
        detail = "neither userId nor anonymousId is usable" + near_id_name(raw)
        findings.reject(Reason.NO_USER_ANON_ID, "", detail)
    return user_id, anonymous_id


def _report_unusable_id(name: str, sent: JsonValue, findings: Findings, policy: Policy) -> None:
    detail = f"{name} is {_TYPE_NAMES[type(sent)]} that can't be read as an id"
    findings.reject_or_warn(Reason.ID_NOT_STRING, f"/{name}", detail, policy)


_NOT_OBJECT: Final = {
    "properties": Reason.PROPERTIES_NOT_OBJECT,
    "context": Reason.CONTEXT_NOT_OBJECT,
    "integrations": Reason.INTEGRATIONS_NOT_OBJECT,
}


def _to_object(raw: JsonObject, name: str, findings: Findings) -> JsonObject | None:
    """The value of a field that is not an object: None, an empty object, or a violation."""
    value = raw.get(name)
    if value is None:
        return None
    if value == []:
        findings.warn(WarningCode.EMPTY_ARRAY_FOR_OBJECT, f"/{name}")
        return {}
    detail = f"{name} is {_TYPE_NAMES[type(value)]}, not an object"
    findings.reject(_NOT_OBJECT[name], f"/{name}", detail)
    return None


def _check_context_field(
    name: str,
    value: JsonValue,
    findings: Findings,
    policy: Policy,
) -> None:
    """Report a field of `context` that does not have the specified type."""
    pointer, code = f"/context/{name}", Reason.CONTEXT_FIELD_TYPE
    if name == "traits":
        code = Reason.TRAITS_NOT_OBJECT
        if value == []:
            findings.warn(WarningCode.EMPTY_ARRAY_FOR_OBJECT, pointer)
            return
    detail = f"context.{name} is {_TYPE_NAMES[type(value)]}, not {_TYPE_NAMES[CONTEXT_TYPES[name]]}"
    findings.reject_or_warn(code, pointer, detail, policy)
