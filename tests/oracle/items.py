"""Items of a batch that version 1 can't read, which made one dead letter of the whole call."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from pipeline.core.contract import ContractSettings
from tests.oracle.contract_1.contract import Limits
from tests.oracle.contract_1.decode import BYTE_ORDER_MARK, decode
from tests.oracle.contract_1.reasons import Invalid
from tests.oracle.corpus import Case
from tests.oracle.facts import Facts

_TOKEN: Final = re.compile(rb'("(?:[^"\\]|\\.)*")(?=\s*(:)?)|[\[\]{},]', re.DOTALL)
_LEVELS: Final = 2
"""Levels around an item."""
_PLACEHOLDER: Final = b"0"
"""Stands for an item that can't be read: it is rejected alone in version 1, too."""
_WHITE: Final = b" \t\r\n"


def emptied_when_too_many(case: Case, value: bytes) -> bytes:
    """The batch without its items when version 2 rejects it for their number."""
    return b'{"batch":[]}' if _too_many(case, value) else value


def reject_too_many(case: Case, before: list[Facts], now: list[Facts]) -> None:
    """Reject a batch for the number of its items."""
    if _too_many(case, case.record.value or b"") and len(now) == 1:
        code = "batch_too_large"
        before[0] |= {"reason": code, "violations": [code]}
        before[0]["our headers"] |= {"dlq.reason": code.encode()}


def _too_many(case: Case, value: bytes) -> bool:
    """Whether a batch has more items than the limit."""
    limits = ContractSettings.model_validate(case.settings).limits
    if value.count(b",") < limits.max_batch_items:
        return False
    sent = decode(value, limits.max_depth)
    if type(sent) is not dict or sent.get("event") is not None:
        return False
    items = sent.get("batch")
    return type(items) is list and len(items) > limits.max_batch_items


class _Item(NamedTuple):
    start: int
    end: int
    reason: str
    """Why it can't be read; empty when it can."""


def without_unreadable(case: Case, value: bytes) -> bytes:
    """The batch with a placeholder for each item that can't be read; else the value as it is."""
    changed = value
    for item in reversed(_items(case, value)):
        if item.reason:
            changed = changed[: item.start] + _PLACEHOLDER + changed[item.end :]
    return changed


def give_reasons(case: Case, value: bytes, before: list[Facts], now: list[Facts]) -> None:
    """Reject the placeholders for the reasons for which their items are."""
    outcomes = [
        (old, new)
        for old, new in zip(before, now, strict=False)
        if old["role"] != "identify" or new["role"] != "identify"
    ]
    items = _items(case, value)
    if len(items) != len(outcomes):
        return
    for item, (old, new) in zip(items, outcomes, strict=True):
        if item.reason:
            old |= {"reason": item.reason, "violations": [item.reason]}
            old["our headers"] |= {"dlq.reason": item.reason.encode()}
            if value[item.start : item.end] in (new.get("bytes") or b""):
                old["bytes"] = new["bytes"]


def _items(case: Case, value: bytes) -> list[_Item]:
    """All items, when some can't be read and all else of the batch can; otherwise none."""
    max_depth = case.settings.get("limits", {}).get("max_depth", Limits().max_depth)
    items = []
    for start, end in _spans(value):
        read = decode(value[start:end], max_depth - _LEVELS)
        reason = read.violations[0].code.value if type(read) is Invalid else ""
        items.append(_Item(start, end, reason))
    if not any(item.reason for item in items):
        return []
    others = value[: items[0].start] + _PLACEHOLDER + value[items[-1].end :]
    envelope = decode(others, max_depth)
    if type(envelope) is not dict or envelope.get("event") is not None:
        return []
    return items


def _spans(value: bytes) -> list[tuple[int, int]]:
    """Places of the items, found by brackets and quotes; none unless there is one batch."""
    depth, key, spans, start, batches = 0, b"", [], 0, 0
    for token in _TOKEN.finditer(value):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            if depth == _LEVELS and mark == b"[" and _is_batch(key):
                start = token.end()
        elif mark in {b"]", b"}", b","}:
            if start and depth == _LEVELS and mark != b"}":
                spans.append(_trimmed(value, start, token.start()))
                start = token.end() if mark == b"," else 0
            depth -= mark != b","
            key = b"" if depth == 1 else key
        elif depth == 1 and token[2]:
            key = token[1]
            batches += _is_batch(key)
    are_items = all(
        start < end and not value.startswith(BYTE_ORDER_MARK, start) for start, end in spans
    )
    is_whole = depth == 0 and batches == 1 and are_items
    return spans if is_whole else []


def _is_batch(key: bytes) -> bool:
    try:
        return bool(json.loads(key) == "batch")
    except ValueError:
        return False


def _trimmed(value: bytes, start: int, end: int) -> tuple[int, int]:
    item = value[start:end]
    return end - len(item.lstrip(_WHITE)), start + len(item.rstrip(_WHITE))
