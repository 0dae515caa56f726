"""The rules of the reserved properties `revenue`, `value` and `currency` (contract §3).

`money.py` reads a value. Here it is normalised in place or reported, and the default currency is
added.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tests.oracle.contract_1.findings import Findings
from tests.oracle.contract_1.json_value import JsonObject, JsonValue
from tests.oracle.contract_1.money import LIMIT, BadAmount, is_set, read_amount, read_currency
from tests.oracle.contract_1.policy import Policy
from tests.oracle.contract_1.reasons import Reason, WarningCode
from tests.oracle.contract_1.record import Revenue

AMOUNT_RULES: Final = {"revenue": Reason.REVENUE_INVALID, "value": Reason.VALUE_INVALID}
RESERVED: Final = ("revenue", "currency", "value")
_MISSPELLED: Final = {
    spelling: name for name in RESERVED for spelling in (name.capitalize(), name.upper())
}
RESERVED_SPELLINGS: Final = frozenset((*RESERVED, *_MISSPELLED))
"""Reserved names in every spelling. An event with none of them needs none of these rules."""


def check_reserved(properties: JsonObject, findings: Findings, policy: Policy) -> bool:
    """Normalise revenue, value and currency in place; True when the default currency was added."""
    _warn_misspelled(properties, findings)
    has_revenue = "revenue" in properties and _check_amount(properties, "revenue", findings, policy)
    if "value" in properties:
        _check_amount(properties, "value", findings, policy)
    if "currency" in properties and _check_currency(
        properties, findings, policy, has_revenue=has_revenue
    ):
        return False
    if has_revenue or policy.default_always:
        properties["currency"] = policy.default_currency
        _warn_of_product_currency(properties, findings, policy)
        return True
    return False


def stated_revenue(properties: JsonObject, policy: Policy) -> Revenue | None:
    """The revenue in normalised properties; None when a rule let an invalid one pass."""
    amount, currency = properties["revenue"], properties.get("currency")
    is_number = type(amount) is int or type(amount) is Decimal
    if is_number and type(currency) is str and currency in policy.codes and abs(amount) < LIMIT:
        return currency, amount
    return None


def rejected_revenue(properties: JsonValue, policy: Policy) -> Revenue | None:
    """The revenue in the properties of a rejected event, as the rules would read it, or None."""
    sent = properties.get("revenue") if type(properties) is dict else None
    if type(properties) is not dict or not is_set(sent):
        return None
    amount, currency = read_amount(sent), properties.get("currency")
    code = read_currency(currency, policy.codes) if is_set(currency) else policy.default_currency
    if type(amount) is BadAmount or code is None:
        return None
    return code, amount.number


def _warn_misspelled(properties: JsonObject, findings: Findings) -> None:
    for spelling, name in _MISSPELLED.items():
        if spelling in properties and not is_set(properties.get(name)):
            findings.warn(WarningCode.RESERVED_NAME_MISSPELLED, f"/properties/{spelling}")


def _remove_if_not_set(properties: JsonObject, name: str, findings: Findings) -> bool:
    if is_set(properties[name]):
        return False
    del properties[name]
    findings.warn(WarningCode.EMPTY_RESERVED_PROPERTY, f"/properties/{name}")
    return True


def _check_amount(properties: JsonObject, name: str, findings: Findings, policy: Policy) -> bool:
    """Normalise one amount; True when it is set."""
    if _remove_if_not_set(properties, name, findings):
        return False
    amount = read_amount(properties[name])
    pointer = f"/properties/{name}"
    if type(amount) is BadAmount:
        findings.reject_or_warn(AMOUNT_RULES[name], pointer, f"{name} {amount.detail}", policy)
        return True
    properties[name] = amount.number
    if amount.from_text:
        findings.warn(WarningCode.NUMBER_FROM_STRING, pointer)
    if amount.rounds:
        findings.warn(WarningCode.MORE_THAN_NINE_DECIMALS, pointer)
    return True


def _check_currency(
    properties: JsonObject, findings: Findings, policy: Policy, *, has_revenue: bool
) -> bool:
    """Normalise the currency; True when it is set."""
    if _remove_if_not_set(properties, "currency", findings):
        return False
    code = read_currency(properties["currency"], policy.codes)
    if code is not None:
        properties["currency"] = code
    elif has_revenue:
        detail = "currency is not a code of ISO 4217 (three letters, such as EUR)"
        findings.reject_or_warn(Reason.CURRENCY_INVALID, "/properties/currency", detail, policy)
    else:
        # A currency without a revenue has no meaning, so an invalid one does no harm.
        findings.warn(WarningCode.CURRENCY_INVALID, "/properties/currency")
    return True


def _warn_of_product_currency(properties: JsonObject, findings: Findings, policy: Policy) -> None:
    products = properties.get("products")
    if type(products) is not list:
        return
    for index, product in enumerate(products):
        sent = product.get("currency") if type(product) is dict else None
        if is_set(sent) and read_currency(sent, policy.codes) != policy.default_currency:
            pointer = f"/properties/products/{index}/currency"
            findings.warn(WarningCode.CURRENCY_DEFAULT_CONFLICTS, pointer)
            return
