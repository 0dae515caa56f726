"""How the differences of the table are taken out of what is sent, and out of facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pipeline.core.contract import ContractSettings
from pipeline.core.timestamps import read_time
from tests.oracle import items
from tests.oracle.contract_1.timestamps import read_time as read_time_of_version_1
from tests.oracle.cores import version_1
from tests.oracle.corpus import Case
from tests.oracle.difference import Change, each
from tests.oracle.facts import Facts, difference, is_unreadable, read_value, size_of
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
from tests.unit.core.carried import RESERVED

TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_AMOUNT: Final = re.compile(r"\$?[+-]?([0-9]*)(\.[0-9]*)?(?:[eE][+-]?[0-9]{1,6})?")
_MOST_DIGITS: Final = 15
_ROUNDED: Final = 28
"""Number of digits that version 1 keeps of a time."""
_DIGITS_OF_LIMIT: Final = 29
_MOST_TEXT: Final = 64
_MOST_WARNINGS: Final = 32
_OUT_OF_RANGE: Final = "timestamp_out_of_range /timestamp"
_LONG_INTEGER: Final = re.compile(rb"[0-9]{4301}")


def without_warnings(*codes: str) -> Change:
    """Warnings that only version 2 knows."""

    def change(_: Case, old: Facts, new: Facts) -> None:
        sent = new.get("warnings", [])
        kept = [warning for warning in sent if warning.partition(" ")[0] not in codes]
        if len(kept) == len(sent):
            return
        if len(sent) == _MOST_WARNINGS and old["warnings"][: len(kept)] == kept:
            old["warnings"] = kept  # no room was left for the others
        new["warnings"] = kept

    return each(change)


def whole_characters(case: Case, value: bytes) -> bytes:
    """The value without halves of surrogate pairs, unless they are rejected."""
    rejects = case.settings.get("rules", {}).get("lone_surrogate") == "reject"
    return value if rejects else with_whole_characters(value)


def readable_numbers(_: Case, value: bytes) -> bytes:
    """The value with numbers that version 1 can read."""
    return with_readable_numbers(value)


def reasons_of_items(case: Case, before: list[Facts], now: list[Facts]) -> None:
    """Reject items that can't be read for their own reasons."""
    items.give_reasons(case, _readable(case), before, now)


def _readable(case: Case) -> bytes:
    return readable_numbers(case, whole_characters(case, case.record.value or b""))


def merged_members(_: Case, old: Facts, new: Facts) -> None:
    """The order of a merged object's members, all of which are equal."""
    for name in ("context", "integrations", "traits"):
        now = new.get("event", {}).get(name)
        if isinstance(now, dict) and old.get("event", {}).get(name) == now:
            old["event"][name] = now
    for name in old.keys() & new.keys() & {"warnings", "violations"}:
        if sorted(old[name], key=_of_context) == sorted(new[name], key=_of_context):
            old[name] = new[name]  # they follow the order of the context


def _of_context(found: str) -> str:
    """Sorts violations and warnings of fields of the context, and keeps all others in place."""
    return found if found.startswith("context_field_type ") else ""


def repeated_reserved(case: Case, old: Facts, new: Facts) -> None:
    """The place of a reserved name that was sent twice."""
    before, now = _properties(old), _properties(new)
    is_moved = before and before == now and _others(before) == _others(now)
    if is_moved and repeats(items.without_unreadable(case, _readable(case)), RESERVED):
        old["event"]["properties"] = now


def kept_place(_: Case, old: Facts, new: Facts) -> None:
    """The place of a currency that was blank."""
    before, now = _properties(old), _properties(new)
    was_blank = "empty_reserved_property /properties/currency" in old.get("warnings", ())
    if was_blank and before == now and _others(before) == _others(now):
        old["event"]["properties"] = now


def _properties(facts: Facts) -> dict[str, Any] | None:
    properties: dict[str, Any] | None = facts.get("event", {}).get("properties")
    return properties


def _others(properties: dict[str, Any] | None) -> list[str]:
    """Names that are not reserved, in order."""
    return [name for name in properties or () if name not in RESERVED]


def spelling_of_envelope(_: Case, old: Facts, new: Facts) -> None:
    """Escapes in names of a dead letter's envelope."""
    before, now = old.get("bytes"), new.get("bytes")
    if not before or not now or b"\\" not in now:
        return
    try:
        is_same = difference(read_value(before), read_value(now)) is None
    except ValueError:  # no JSON
        return
    if is_same:
        old["bytes"] = now


def too_many_digits(case: Case, old: Facts, new: Facts) -> None:
    """The reason of an event with an integer of thousands of digits."""
    is_long = _LONG_INTEGER.search(case.record.value or b"") is not None
    if is_long and new.get("violations") == ["invalid_json"]:
        old.clear()
        old.update(new)


def revenue_let_pass(_: Case, old: Facts, new: Facts) -> None:
    """The revenue in statistics of an amount that a rule let pass."""
    is_let_pass = "revenue_invalid /properties/revenue" in new.get("warnings", ())
    if is_let_pass and new["revenue"] is None:
        old["revenue"] = None


def largest_revenue(_: Case, old: Facts, new: Facts) -> None:
    """The revenue in statistics of an amount just below 10^29."""
    properties = _properties(new)
    if properties is None or old.get("revenue") is not None or new["revenue"] is None:
        return
    currency, (_sign, digits, exponent) = new["revenue"]
    is_next_to_limit = len(digits) + exponent == _DIGITS_OF_LIMIT and set(
        digits[:_DIGITS_OF_LIMIT]
    ) == {"9"}
    is_stated = (properties.get("currency"), properties.get("revenue")) == new["revenue"]
    if is_next_to_limit and is_stated and currency:
        old["revenue"] = new["revenue"]


def headers_count(case: Case, before: list[Facts], now: list[Facts]) -> None:
    """A batch whose outputs are too large together with their headers and keys."""
    limit = ContractSettings.model_validate(case.settings).limits.max_batch_output_bytes
    is_rejected = [new.get("violations") for new in now] == [["batch_too_large"]]
    if is_rejected and len(before) > 1 and sum(map(size_of, version_1(case))) > limit:
        before[:] = now


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


def as_sent(_: Case, old: Facts, _new: Facts) -> None:
    """Take the mark away from texts that are kept as they were sent."""
    properties = old.get("event", {}).get("properties", {})
    for name, text in properties.items():
        if type(text) is str:
            properties[name] = text.removeprefix(NO_AMOUNT)


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


def unsupported_type_alone(_: Case, old: Facts, _new: Facts) -> None:
    """The violations beside an unsupported type."""
    violations = old.get("violations", ["", ""])
    if len(violations) > 1 and violations[0].startswith("unsupported_type "):
        old["violations"] = violations[:1]


def track_in_other_spellings(_: Case, value: bytes) -> bytes:
    """The calls of a type that is track in another spelling, or blank, as track calls."""

    def change(event: Members) -> None:
        for name in ("type", "action"):
            sent = get(event, name)
            if type(sent) is str and not sent.strip():
                put(event, name, None)
            elif type(sent) is str and _is_track(sent):
                put(event, name, "track")
            if get(event, name) is not None:
                return

    return rewritten(value, change)


def _is_track(text: str) -> bool:
    return text.strip().isascii() and text.strip().lower() == "track"


def spelling_of_action(_: Case, old: Facts, new: Facts) -> None:
    """The spelling of an action, which is kept."""
    before, now = old.get("event", {}), new.get("event", {})
    sent = now.get("action")
    is_respelled = isinstance(sent, str) and (_is_track(sent) or not sent.strip())
    if is_respelled and before.get("action", "") in {"track", None}:
        before["action"] = sent


def null_reserved(case: Case, old: Facts, new: Facts) -> None:
    """The warnings about reserved properties that are null."""
    if not re.search(rb":\s*null", case.record.value or b""):
        return
    now = new.get("warnings", [])
    if "warnings" in old:
        old["warnings"] = [
            warning
            for warning in old["warnings"]
            if warning in now or not warning.startswith("empty_reserved_property ")
        ]


def unreadable_times(_: Case, _old: Facts, new: Facts) -> None:
    """The texts of times that can't be read, each with its warning now or when it was enriched."""
    texts = new.get("enrichment", {}).get("unreadable", {})
    warned = {warning.partition(" ")[2] for warning in new.get("warnings", ())}
    was_enriched = "enrichment_replaced /enrichment" in new.get("warnings", ())
    is_short = all(len(text) <= _MOST_TEXT for text in texts.values())
    if texts and is_short and (was_enriched or texts.keys() <= warned):
        del new["enrichment"]["unreadable"]


def far_past(_: Case, old: Facts, new: Facts) -> None:
    """The time of an event that is too old to be corrected."""
    code = "timestamp_far_past /timestamp"
    if code not in new.get("warnings", ()) or "event" not in old:
        return
    new["warnings"].remove(code)
    is_kept = new["event"]["timestamp"] == new["event"].get("originalTimestamp")
    was_corrected = old["enrichment"].get("timestampSource") == "corrected"
    if (
        is_kept
        and (was_corrected or _OUT_OF_RANGE in old["warnings"])
        and new["enrichment"]["timestampSource"] == "original"
    ):
        old["event"]["timestamp"] = new["event"]["timestamp"]
        old["enrichment"]["timestampSource"] = "original"
        old["warnings"] = [warning for warning in old["warnings"] if warning != _OUT_OF_RANGE]


def too_deep_and_not_utf8(case: Case, old: Facts, new: Facts) -> None:
    """The reason of a record that is both too deep and not UTF-8."""
    found = old.get("violations"), new.get("violations")
    if found == (["too_deep"], ["invalid_utf8"]) and not _is_utf8(case.record.value or b""):
        old.clear()
        old.update(new)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def write_keys(case: Case, old: Facts, new: Facts) -> None:
    """The credentials that version 1 keeps."""
    event = old.get("event", {})
    if case.settings.get("keep_write_key") or "event" not in new:
        return
    for name in ("write_key", "WriteKey"):
        event.pop(name, None)
    parameters = event.get("context", {}).get("query_parameters")
    if isinstance(parameters, dict):
        for name in ("writeKey", "write_key", "WriteKey"):
            parameters.pop(name, None)


def unknown_call(case: Case, old: Facts, new: Facts) -> None:
    """The dead letter of an unknown call that version 1 drops."""
    drops = case.settings.get("on_other_type") == "drop" and old["role"] == "dropped"
    if drops and new["reason"] == "unsupported_type" and new["role"] == "dead_letter":
        old.clear()
        old.update(new)


def raised(_: Case, before: list[Facts], now: list[Facts]) -> None:
    """All outputs, where version 1 raises."""
    if not before:
        before += now
