"""What contract version 2 does differently on purpose, each with its reason.

An entry that explains nothing in the corpus fails a test: the table has nothing to spare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pipeline.core.timestamps import read_time
from tests.hostile import EVENT, with_field, with_property, with_revenue
from tests.oracle.contract_1.timestamps import read_time as read_time_of_version_1
from tests.oracle.corpus import Case
from tests.oracle.difference import Change, Difference, each, example
from tests.oracle.facts import Facts, is_unreadable
from tests.oracle.rewrite import (
    NO_AMOUNT,
    Members,
    get,
    put,
    repeats,
    rewritten,
    with_readable_numbers,
)
from tests.support import Digits
from tests.unit.core.carried import RESERVED, members

TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_AMOUNT: Final = re.compile(r"\$?[+-]?([0-9]*)(\.[0-9]*)?(?:[eE][+-]?[0-9]{1,6})?")
_MOST_DIGITS: Final = 15
_ROUNDED: Final = 28
"""Number of digits that version 1 keeps of a time."""
_LONG_INTEGER: Final = re.compile(rb"[0-9]{4301}")


def _without_warnings(*codes: str) -> Change:
    """Take warnings that only version 2 knows out of today's."""

    def change(_: Case, _old: Facts, new: Facts) -> bool:
        warnings = new.get("warnings", [])
        kept = [warning for warning in warnings if warning.partition(" ")[0] not in codes]
        new["warnings"] = kept if "warnings" in new else None
        return len(kept) < len(warnings)

    return each(change)


def _merged_members(_: Case, old: Facts, new: Facts) -> bool:
    changed = False
    for name in ("context", "integrations", "traits"):
        before, now = old.get("event", {}).get(name), new.get("event", {}).get(name)
        if before == now and isinstance(now, dict) and list(before) != list(now):
            old["event"][name] = now
            changed = True
    return changed


def _repeated_reserved(case: Case, old: Facts, new: Facts) -> bool:
    before = old.get("event", {}).get("properties")
    now = new.get("event", {}).get("properties")
    if before != now or list(before or ()) == list(now or ()):
        return False
    orders = [[name for name in each if name not in RESERVED] for each in (before, now)]
    if orders[0] != orders[1] or not repeats(case.record.value, RESERVED):
        return False
    old["event"]["properties"] = now
    return True


def _spelling_of_envelope(_: Case, old: Facts, new: Facts) -> bool:
    before, now = old.get("bytes"), new.get("bytes")
    if before is None or now is None or before == now or b"\\" not in now:
        return False
    if members(before) != members(now):
        return False
    old["bytes"] = now
    return True


def _too_many_digits(case: Case, old: Facts, new: Facts) -> bool:
    if new.get("violations") != ["invalid_json"] or new == old:
        return False
    if not _LONG_INTEGER.search(case.record.value or b""):
        return False
    old.clear()
    old.update(new)
    return True


def _revenue_let_pass(_: Case, old: Facts, new: Facts) -> bool:
    warned = "revenue_invalid /properties/revenue" in new.get("warnings", ())
    if not warned or old.get("revenue") is None or new["revenue"] is not None:
        return False
    old["revenue"] = None
    return True


def _kept_place(_: Case, old: Facts, new: Facts) -> bool:
    before = old.get("event", {}).get("properties")
    now = new.get("event", {}).get("properties")
    if before != now or list(before or ()) == list(now or ()):
        return False
    others = [name for name in before if name != "currency"]
    if [*others, "currency"] != list(before) or others != [n for n in now if n != "currency"]:
        return False
    old["event"]["properties"] = now
    return "empty_reserved_property /properties/currency" in old["warnings"]


def _largest_revenue(_: Case, old: Facts, new: Facts) -> bool:
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


def _no_amounts(_: Case, value: bytes) -> bytes:
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


def _no_currencies(_: Case, value: bytes) -> bytes:
    """The codes that version 2 does not know, as texts that are no codes in version 1."""

    def change(event: Members) -> None:
        properties = get(event, "properties")
        text = get(properties, "currency") if type(properties) is Members else None
        if type(text) is str and text.strip().upper() in {"XXX", "XTS"}:
            put(properties, "currency", NO_AMOUNT + text)

    return rewritten(value, change)


def _as_sent(_: Case, old: Facts, _new: Facts) -> bool:
    """Take the mark away from texts that are kept as they were sent."""
    properties = old.get("event", {}).get("properties", {})
    for name, text in properties.items():
        if type(text) is str:
            properties[name] = text.removeprefix(NO_AMOUNT)
    return False


def _readable_times(_: Case, value: bytes) -> bytes:
    """The times that only version 2 reads, in a form that version 1 reads, too."""
    return _with_times(value, lambda _, before: before is None)


def _truncated_times(_: Case, value: bytes) -> bytes:
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


def _with_context(text: bytes) -> bytes:
    return with_field(b"context", text)


def _unknown_call(case: Case, old: Facts, new: Facts) -> bool:
    if case.settings.get("on_other_type") != "drop" or old.get("role") != "dropped":
        return False
    if new.get("reason") != "unsupported_type" or new["role"] == "dropped":
        return False
    old.clear()
    old.update(new)
    return True


def _raised(_: Case, before: list[Facts], now: list[Facts]) -> bool:
    if before:
        return False
    before += now
    return True


_WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}

DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "number that can't be read exactly",
        "a number that no rule reads is carried, however large it is; where a rule reads it, it is "
        "as out of bounds as any other huge number",
        (
            *example(with_property(b"1e99999999999999999999")),
            *example(with_property(b"9" * 5_000)),
            *example(with_revenue(b"9" * 5_000)),
            *example(b'{"batch":[%b,%b]}' % (EVENT, with_property(b"9" * 5_000))),
        ),
        resend=lambda _, value: with_readable_numbers(value),
    ),
    Difference(
        "amounts that are identifiers",
        "text with a leading zero, or a value of more than 15 digits in text, is kept as it is",
        (
            *example(with_revenue(b'"00420"')),
            *example(with_revenue(b'"00420"'), **_WARN),
        ),
        resend=_no_amounts,
        change=each(_as_sent),
    ),
    Difference(
        "codes for no currency",
        "XXX and XTS say that there is no currency, or that it is a test",
        example(with_revenue(b'1,"currency":"xxx"')),
        resend=_no_currencies,
        change=each(_as_sent),
    ),
    Difference(
        "times in other forms",
        "dates of RFC 1123, 822 and 850, epochs of 16 and 19 digits, one-digit hours are read, "
        "since SDKs send them",
        (
            *example(with_field(b"timestamp", b'"Sat, 12 Dec 2015 19:11:01 GMT"')),
            *example(with_field(b"sentAt", b"1449947461249000")),
        ),
        resend=_readable_times,
    ),
    Difference(
        "times of many digits",
        "they are truncated to milliseconds like all others; version 1 rounded after 28 digits",
        example(with_field(b"timestamp", b"1449947461.2499999999999999999999999999")),
        resend=_truncated_times,
    ),
    Difference(
        "order of merged members",
        "where an item overrides a member of a shared object, or context.traits one of traits, it "
        "stands with the overriding object's other members, whose bytes are carried in one piece",
        (
            *example(b'{"batch":[%b],"context":{"ip":1,"a":2}}' % _with_context(b'{"ip":"::1"}')),
            *example(_with_context(b'{"traits":{"a":1}},"traits":{"a":2,"b":3}')),
        ),
        change=each(_merged_members),
    ),
    Difference(
        "place of a default currency",
        "it stands where the blank currency stood that it replaces",
        example(with_revenue(b'5,"currency":"","free":1')),
        change=each(_kept_place),
    ),
    Difference(
        "place of a repeated reserved name",
        "the last one counts, as ever, and stands where it was sent; the first is not written",
        example(with_revenue(b'1,"free":1,"revenue":2')),
        change=each(_repeated_reserved),
    ),
    Difference(
        "spelling of an envelope's names",
        "the dead letter of an item keeps the escapes of the envelope's names",
        example(rb'{"b\u0061tch":[{},%b],"\u0078":1}' % EVENT),
        change=each(_spelling_of_envelope),
    ),
    Difference(
        "integer of thousands of digits in an event",
        "where a rule needs its value, the event alone is no JSON that can be read, not its batch",
        example(b'{"batch":[{"type":%b},%b]}' % (b"9" * 5_000, EVENT)),
        change=each(_too_many_digits),
    ),
    Difference(
        "unknown calls are never dropped",
        "what is no page, screen, identify, group or alias call may be a misspelt track call",
        example(with_field(b"type", b'"trak"'), on_other_type="drop"),
        change=each(_unknown_call),
    ),
    Difference(
        "revenue that a rule let pass",
        "an amount that is not one is no revenue in statistics, also when it is a tiny number",
        example(with_revenue(b"1e-999"), **_WARN),
        change=each(_revenue_let_pass),
    ),
    Difference(
        "revenue of almost 10^29 in statistics",
        "version 1 rounded it to 10^29 in its own statistics, and left it out of them",
        example(with_revenue(b"9" * 29 + b".9")),
        change=each(_largest_revenue),
    ),
    Difference(
        "huge revenue that a rule let pass",
        "version 1 raised an error of its own, which made a dead letter `processing_error`",
        example(with_revenue(b"1e9999999"), **_WARN),
        change=_raised,
    ),
)
