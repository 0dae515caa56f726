"""How the differences of the table are taken out of what is sent, and out of facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pipeline.core.timestamps import read_time
from tests.oracle import items
from tests.oracle.contract_1.timestamps import read_time as read_time_of_version_1
from tests.oracle.corpus import Case
from tests.oracle.difference import Change, each
from tests.oracle.facts import Facts, is_unreadable
from tests.oracle.rewrite import (
    NO_AMOUNT,
    Members,
    get,
    put,
    repeats,
    rewritten,
    with_readable_numbers,
    with_whole_characters,
)
from tests.support import Digits
from tests.unit.core.carried import RESERVED, members

TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_AMOUNT: Final = re.compile(r"\$?[+-]?([0-9]*)(\.[0-9]*)?(?:[eE][+-]?[0-9]{1,6})?")
_MOST_DIGITS: Final = 15
_ROUNDED: Final = 28
"""Number of digits that version 1 keeps of a time."""
_LONG_INTEGER: Final = re.compile(rb"[0-9]{4301}")


def without_warnings(*codes: str) -> Change:
    """Take warnings that only version 2 knows out of today's."""

    def change(_: Case, _old: Facts, new: Facts) -> bool:
        warnings = new.get("warnings", [])
        kept = [warning for warning in warnings if warning.partition(" ")[0] not in codes]
        new["warnings"] = kept if "warnings" in new else None
        return len(kept) < len(warnings)

    return each(change)


def whole_characters(case: Case, value: bytes) -> bytes:
    """The value without halves of surrogate pairs, unless they are rejected."""
    rejects = case.settings.get("rules", {}).get("lone_surrogate") == "reject"
    return value if rejects else with_whole_characters(value)


def readable_numbers(_: Case, value: bytes) -> bytes:
    """The value with numbers that version 1 can read."""
    return with_readable_numbers(value)


def reasons_of_items(case: Case, before: list[Facts], now: list[Facts]) -> bool:
    """Reject items that can't be read for their own reasons."""
    value = readable_numbers(case, whole_characters(case, case.record.value or b""))
    return items.give_reasons(case, value, before, now)


def merged_members(_: Case, old: Facts, new: Facts) -> bool:
    """The order of a merged object's members, all of which are equal."""
    changed = False
    for name in ("context", "integrations", "traits"):
        before, now = old.get("event", {}).get(name), new.get("event", {}).get(name)
        if before == now and isinstance(now, dict) and list(before) != list(now):
            old["event"][name] = now
            changed = True
    return changed


def repeated_reserved(case: Case, old: Facts, new: Facts) -> bool:
    """The place of a reserved name that was sent twice."""
    before = old.get("event", {}).get("properties")
    now = new.get("event", {}).get("properties")
    if before != now or list(before or ()) == list(now or ()):
        return False
    orders = [[name for name in each if name not in RESERVED] for each in (before, now)]
    if orders[0] != orders[1] or not repeats(case.record.value, RESERVED):
        return False
    old["event"]["properties"] = now
    return True


def spelling_of_envelope(_: Case, old: Facts, new: Facts) -> bool:
    """Escapes in names of a dead letter's envelope."""
    before, now = old.get("bytes"), new.get("bytes")
    if before is None or now is None or before == now or b"\\" not in now:
        return False
    if members(before) != members(now):
        return False
    old["bytes"] = now
    return True


def too_many_digits(case: Case, old: Facts, new: Facts) -> bool:
    """The reason of an event with an integer of thousands of digits."""
    if new.get("violations") != ["invalid_json"] or new == old:
        return False
    if not _LONG_INTEGER.search(case.record.value or b""):
        return False
    old.clear()
    old.update(new)
    return True


def revenue_let_pass(_: Case, old: Facts, new: Facts) -> bool:
    """The revenue in statistics of an amount that a rule let pass."""
    warned = "revenue_invalid /properties/revenue" in new.get("warnings", ())
    if not warned or old.get("revenue") is None or new["revenue"] is not None:
        return False
    old["revenue"] = None
    return True


def kept_place(_: Case, old: Facts, new: Facts) -> bool:
    """The place of a currency that was blank."""
    before = old.get("event", {}).get("properties")
    now = new.get("event", {}).get("properties")
    if before != now or list(before or ()) == list(now or ()):
        return False
    others = [name for name in before if name != "currency"]
    if [*others, "currency"] != list(before) or others != [n for n in now if n != "currency"]:
        return False
    old["event"]["properties"] = now
    return "empty_reserved_property /properties/currency" in old["warnings"]


def largest_revenue(_: Case, old: Facts, new: Facts) -> bool:
    """The revenue in statistics of an amount just below 10^29."""
    properties = new.get("event", {}).get("properties", {})
    if old.get("revenue") is not None or new.get("revenue") is None:
        return False
    currency, amount = new["revenue"]
    if amount != properties.get("revenue") or currency != properties.get("currency"):
        return False
    if len(amount[1]) + amount[2] != 29 or set(amount[1][:29]) != {"9"}:
        return False
    old["revenue"] = new["revenue"]
    return True


def no_amounts(_: Case, value: bytes) -> bytes:
    """The texts that are no amounts in version 2, as texts that are none in version 1 either."""

    def change(event: Members) -> None:
        properties = get(event, "properties")
        for name in ("revenue", "value"):
            text = get(properties, name) if type(properties) is Members else None
            if type(text) is str and _is_identifier(text.strip(), name):
                put(properties, name, NO_AMOUNT + text)

    return rewritten(value, change)


def _is_identifier(text: str, name: str) -> bool:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return False
    whole, rest = match.groups()
    too_long = len((whole + (rest or "")).replace(".", "").lstrip("0")) > _MOST_DIGITS
    return re.match("0[0-9]", whole) is not None or (name == "value" and too_long)


def no_currencies(_: Case, value: bytes) -> bytes:
    """The codes that version 2 does not know, as texts that are no codes in version 1."""

    def change(event: Members) -> None:
        properties = get(event, "properties")
        text = get(properties, "currency") if type(properties) is Members else None
        if type(text) is str and text.strip().upper() in {"XXX", "XTS"}:
            put(properties, "currency", NO_AMOUNT + text)

    return rewritten(value, change)


def as_sent(_: Case, old: Facts, _new: Facts) -> bool:
    """Take the mark away from texts that are kept as they were sent."""
    properties = old.get("event", {}).get("properties", {})
    for name, text in properties.items():
        if type(text) is str:
            properties[name] = text.removeprefix(NO_AMOUNT)
    return False


def readable_times(_: Case, value: bytes) -> bytes:
    """The times that only version 2 reads, in a form that version 1 reads, too."""
    return _with_times(value, lambda _, before: before is None)


def truncated_times(_: Case, value: bytes) -> bytes:
    """The times of many digits, which version 1 rounds, as version 2 truncates them."""
    return _with_times(value, lambda sent, before: before is not None and len(sent) > _ROUNDED)


def _with_times(value: bytes, is_read_anew: Callable[[str, Any], bool]) -> bytes:
    def change(event: Members) -> None:
        for name in TIMES:
            sent = get(event, name)
            if type(sent) not in {str, Digits} or (type(sent) is Digits and is_unreadable(sent)):
                continue
            plain = _exact(sent) if type(sent) is Digits else sent
            time = read_time(plain)
            if time is not None and is_read_anew(sent, read_time_of_version_1(plain)):
                put(event, name, time[1])

    return rewritten(value, change)


def _exact(text: str) -> int | Decimal:
    """A number as the cores read it."""
    return Decimal(text) if set(text) & set(".eE") else int(text)


def raised(_: Case, before: list[Facts], now: list[Facts]) -> bool:
    """All outputs, where version 1 raises."""
    if before:
        return False
    before += now
    return True
