"""The rules of the reserved properties `revenue`, `value` and `currency` (contract §3).

`money.py` reads a value. Here it is normalised or reported, and the default currency is added. The
properties keep the sender's bytes but for the reserved members that change.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Raw, ValidationError

from pipeline.core.encode import encode_json
from pipeline.core.findings import Findings
from pipeline.core.json_value import JsonValue
from pipeline.core.members import (
    Members,
    RawMember,
    every_member,
    is_object,
    may_escape_keys,
    read_members,
    read_value,
    with_value,
    without_member,
    write_object,
)
from pipeline.core.money import (
    Amount,
    BadAmount,
    is_set,
    is_short_number,
    read_amount,
    read_currency,
    read_short_amount,
    read_short_text,
)
from pipeline.core.policy import Policy
from pipeline.core.raw_event import ReservedMembers, read_reserved
from pipeline.core.reasons import Reason, WarningCode
from pipeline.core.record import Revenue, new_tuple

AMOUNT_RULES: Final = {"revenue": Reason.REVENUE_INVALID, "value": Reason.VALUE_INVALID}
RESERVED: Final = ("revenue", "currency", "value")
_MISSPELLED: Final = {
    spelling: name for name in RESERVED for spelling in (name.capitalize(), name.upper())
}
_REVENUE: Final = b'"revenue"'
_CURRENCY: Final = b'"currency"'
_VALUE: Final = b'"value"'
_KEYS: Final = {"revenue": _REVENUE, "currency": _CURRENCY, "value": _VALUE}
_UNREADABLE: Final = Decimal("Infinity")


class Reserved(NamedTuple):
    """What the rules have made of the reserved properties."""

    properties: Raw
    """The properties, changed where a rule changes them."""
    currency_defaulted: bool
    revenue: Revenue | None
    """None when there is none, or when a rule let an invalid one pass."""
    amount: int | Decimal | None
    """Number of the revenue, also when its currency is invalid. None as above."""
    value: int | Decimal | None
    currency: str | None
    """None when there is none, or when it is no code."""


def check_reserved(
    properties: Raw, sent: ReservedMembers, findings: Findings, policy: Policy
) -> Reserved:
    """Apply the rules to properties, of which `sent` holds the members that they read."""
    changes: dict[str, Raw | None] = {}
    if sent.Revenue or sent.REVENUE or sent.Value or sent.VALUE or sent.Currency or sent.CURRENCY:
        _warn_misspelled(sent, findings)
    amount = _check_amount("revenue", sent.revenue, findings, policy, changes)
    has_revenue = bool(sent.revenue) and changes.get("revenue", sent.revenue) is not None
    value = _check_amount("value", sent.value, findings, policy, changes) if sent.value else None
    code, currency, defaulted = None, None, False
    if sent.currency and is_set(currency := _value(sent.currency)):
        code = _check_currency(currency, findings, policy, changes, has_revenue=has_revenue)
    else:
        if sent.currency:
            _remove("currency", currency, findings, changes)
        if has_revenue or policy.default_always:
            code, defaulted = policy.default_currency, True
            changes["currency"] = Raw(encode_json(code))
            _warn_of_product_currency(properties, findings, policy)
    number = None if amount is None else amount.number
    revenue = None if number is None or code is None else (code, number)
    written = _written(properties, sent, changes)
    return new_tuple(
        Reserved,
        (written, defaulted, revenue, number, None if value is None else value.number, code),
    )


def rejected_revenue(members: Members, policy: Policy) -> Revenue | None:
    """The revenue in the properties of a rejected event, as the rules would read it, or None."""
    properties = members.get("properties")
    if properties is None or not is_object(properties):
        return None
    sent = read_reserved(properties)
    if not sent.revenue or not is_set(stated := _value(sent.revenue)):
        return None
    amount = read_amount(stated)
    currency = _value(sent.currency) if sent.currency else None
    code = read_currency(currency, policy.codes) if is_set(currency) else policy.default_currency
    if type(amount) is BadAmount or code is None:
        return None
    return code, amount.number


def _value(sent: Raw) -> JsonValue:
    """The value of a member; infinity for a number that is too large to be read."""
    try:
        value = read_value(sent)
    except ValidationError:
        return _UNREADABLE
    return _UNREADABLE if type(value) is Raw else value


def _warn_misspelled(sent: ReservedMembers, findings: Findings) -> None:
    for spelling, name in _MISSPELLED.items():
        if getattr(sent, spelling):
            correct = getattr(sent, name)
            if not correct or not is_set(_value(correct)):
                findings.warn(WarningCode.RESERVED_NAME_MISSPELLED, f"/properties/{spelling}")


def _remove(
    name: str, value: JsonValue, findings: Findings, changes: dict[str, Raw | None]
) -> None:
    """Remove a property that is not set: null, as typed libraries send it, or blank text."""
    changes[name] = None
    if value is not None:
        findings.warn(WarningCode.EMPTY_RESERVED_PROPERTY, f"/properties/{name}")


def _check_amount(
    name: str, sent: Raw, findings: Findings, policy: Policy, changes: dict[str, Raw | None]
) -> Amount | None:
    """Normalise one amount; None when it is not set, or invalid."""
    if not sent:
        return None
    text = bytes(sent)
    if is_short_number(text):
        return new_tuple(Amount, (_value(sent), False, False, ""))
    amount: Amount | BadAmount | None = read_short_text(text)
    if amount is None:
        value = _value(sent)
        if not is_set(value):
            _remove(name, value, findings, changes)
            return None
        amount = read_amount(value) if name == "revenue" else read_short_amount(value)
    pointer = f"/properties/{name}"
    if type(amount) is BadAmount:
        findings.reject_or_warn(AMOUNT_RULES[name], pointer, f"{name} {amount.detail}", policy)
        return None
    if amount.from_text:
        changes[name] = Raw(amount.json.encode())
        findings.warn(WarningCode.NUMBER_FROM_STRING, pointer)
    if amount.rounds and policy.warns_of_rounding:
        findings.warn(WarningCode.MORE_THAN_NINE_DECIMALS, pointer)
    return amount


def _check_currency(
    sent: JsonValue,
    findings: Findings,
    policy: Policy,
    changes: dict[str, Raw | None],
    *,
    has_revenue: bool,
) -> str | None:
    """Normalise a currency that is set; None when it is not a code."""
    code = read_currency(sent, policy.codes)
    if code is not None:
        if code != sent:
            changes["currency"] = Raw(encode_json(code))
    elif has_revenue:
        detail = "currency is not a code of ISO 4217 (three letters, such as EUR)"
        findings.reject_or_warn(Reason.CURRENCY_INVALID, "/properties/currency", detail, policy)
    else:
        # A currency without a revenue has no meaning, so an invalid one does no harm.
        findings.warn(WarningCode.CURRENCY_INVALID, "/properties/currency")
    return code


def _warn_of_product_currency(properties: Raw, findings: Findings, policy: Policy) -> None:
    text = bytes(properties)
    if b"currency" not in text and b"\\" not in text:
        return
    products = read_members(properties).get("products")
    listed = None if products is None else _value(products)
    if type(listed) is not list:
        return
    for index, product in enumerate(listed):
        sent = product.get("currency") if type(product) is dict else None
        if is_set(sent) and read_currency(sent, policy.codes) != policy.default_currency:
            pointer = f"/properties/products/{index}/currency"
            findings.warn(WarningCode.CURRENCY_DEFAULT_CONFLICTS, pointer)
            return


def _written(properties: Raw, sent: ReservedMembers, changes: dict[str, Raw | None]) -> Raw:
    """The properties with these changes, and with no reserved name that occurs twice.

    A member that changes keeps its place, a new one is the last, and None removes one.
    """
    text = bytes(properties)
    if may_escape_keys(text) or _has_key_twice(text, sent):
        return _written_anew(properties, changes)
    if not changes:
        return properties
    for name, value in changes.items():
        old: Raw = getattr(sent, name)
        if value is None:
            text = without_member(text, _KEYS[name], old)
        elif old:
            text = with_value(text, _KEYS[name], old, value)
        else:
            comma = b"" if text[1:-1].isspace() or text == b"{}" else b","
            text = b"%b%b%b:%b}" % (text[:-1], comma, _KEYS[name], bytes(value))
    return Raw(text)


def _has_key_twice(text: bytes, sent: ReservedMembers) -> bool:
    """Whether the key of a reserved member occurs again, be it as text or in another object."""
    return bool(
        (sent.revenue and text.find(_REVENUE) != text.rfind(_REVENUE))
        or (sent.currency and text.find(_CURRENCY) != text.rfind(_CURRENCY))
        or (sent.value and text.find(_VALUE) != text.rfind(_VALUE))
    )


def _written_anew(properties: Raw, changes: dict[str, Raw | None]) -> Raw:
    """The properties put together from their members, if they must change at all."""
    members = every_member(bytes(properties))
    last = {member.name: number for number, member in enumerate(members)}
    kept = []
    for number, member in enumerate(members):
        if member.name not in RESERVED:
            kept.append(member)
        elif last[member.name] == number:
            value = changes.pop(member.name, member.value)
            if value is not None:
                kept.append(member._replace(value=value))
    kept += [RawMember(name, _KEYS[name], value) for name, value in changes.items() if value]
    return properties if kept == members else write_object(kept)
