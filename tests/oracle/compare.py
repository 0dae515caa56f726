"""Compares today's core with that of contract version 1 on one record.

What differs has to be explained by the table of differences: each entry says which bytes version 1
must be sent instead, or takes a difference out of the facts of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from tests.oracle.cores import today, version_1
from tests.oracle.corpus import Case
from tests.oracle.difference import Difference
from tests.oracle.differences import DIFFERENCES
from tests.oracle.facts import Facts, difference, facts_of

MOST_WARNINGS: Final = 32
TOO_LARGE: Final = "batch_too_large"
_GENERATED: Final = "message_id_generated /messageId"


def compare(case: Case, table: Sequence[Difference] = DIFFERENCES) -> list[str]:
    """What today's core does differently for a record without a reason, a line for each fact."""
    now = facts_of(today(case))
    # A call of half a million items is never sent to version 1.
    if now[0]["reason"] != TOO_LARGE and not _differing(facts_of(version_1(case)), now):
        return []
    value = case.record.value
    for entry in table:
        if value is not None and entry.resend is not None:
            value = entry.resend(case, value)
    before = facts_of(version_1(case._replace(record=case.record._replace(value=value))))
    if value != case.record.value:
        _as_if_sent(case, value, before, now)
    for entry in table:
        if entry.change is not None:
            entry.change(case, before, now)
    return _differing(before, now)


def _as_if_sent(case: Case, sent: bytes | None, before: list[Facts], now: list[Facts]) -> None:
    """Take out what follows from other bytes alone: the bytes, and ids that are made from them."""
    for old, new in zip(before, now, strict=False):
        if old.get("bytes") == sent:
            old["bytes"] = case.record.value
        elif "bytes" in old and "bytes" in new and len(before) > 1:
            old["bytes"] = new["bytes"]
        is_cut = len(new.get("warnings", ())) == MOST_WARNINGS
        if _GENERATED in old.get("warnings", ()) and (
            is_cut or _GENERATED in new.get("warnings", ())
        ):
            old["event"]["messageId"] = new["event"].get("messageId")


def _differing(before: list[Facts], now: list[Facts]) -> list[str]:
    lines = []
    nothing: Facts = {}
    for index, (old, new) in enumerate(zip_longest(before, now, fillvalue=nothing)):
        lines += [
            f"output {index}, {name}{found}"
            for name in dict.fromkeys([*old, *new])
            if (found := difference(old.get(name), new.get(name))) is not None
        ]
    return lines
