"""Compares today's core with that of contract version 1 on one record.

Both get the same settings, with every default of version 1 spelled out. What still differs has to
be explained by the table of differences: each entry says which bytes version 1 must be sent
instead, or takes a difference out of the facts of both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Overflow
from functools import cache
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output
from tests.oracle.contract_1.contract import ContractSettings as SettingsOfVersion1
from tests.oracle.contract_1.contract import Identity as IdentityOfVersion1
from tests.oracle.contract_1.process import Processor as ProcessorOfVersion1
from tests.oracle.contract_1.record import Record as RecordOfVersion1
from tests.oracle.corpus import Case
from tests.oracle.difference import Difference
from tests.oracle.differences import DIFFERENCES
from tests.oracle.facts import Facts, difference, facts_of
from tests.support import IDENTITY, NOW

_NO_LIMIT: Final = 10**9
_GENERATED: Final = "message_id_generated /messageId"


class Comparison(NamedTuple):
    """What two cores made of a record."""

    used: frozenset[str]
    """Names of the differences that explain something."""
    unexplained: list[str]
    """What differs nevertheless, a line for each fact."""


def compare(case: Case, table: Sequence[Difference] = DIFFERENCES) -> Comparison:
    """Compare both cores on a record."""
    now = facts_of(today(case))
    differing = _differing(facts_of(version_1(case)), now)
    if not differing:
        return Comparison(frozenset(), [])
    value, used = case.record.value, set()
    for entry in table:
        if value is not None and entry.resend is not None:
            sent = entry.resend(case, value)
            used |= {entry.name} if sent != value else set()
            value = sent
    now = facts_of(today(case))
    before = facts_of(version_1(case._replace(record=case.record._replace(value=value))))
    if value != case.record.value:
        _as_if_sent(case, value, before, now)
    for entry in table:
        if entry.change is not None and entry.change(case, before, now):
            used.add(entry.name)
    return Comparison(frozenset(used), _differing(before, now))


def today(case: Case) -> tuple[Output, ...]:
    """Outputs of today's core."""
    return _today(json.dumps(case.settings, sort_keys=True)).process(case.record, NOW)


def version_1(case: Case) -> tuple[Any, ...]:
    """Outputs of the core of contract version 1; none when it raises the error that it had."""
    processor = _version_1(json.dumps(case.settings, sort_keys=True))
    try:
        return processor.process(RecordOfVersion1(*case.record), NOW)
    except Overflow:  # in a comparison, when a rule has let a huge amount pass
        return ()


@cache
def _version_1(settings: str) -> ProcessorOfVersion1:
    return ProcessorOfVersion1(_of_version_1(settings), IdentityOfVersion1(**IDENTITY.model_dump()))


@cache
def _today(settings: str) -> Processor:
    set_back = _of_version_1(settings).model_dump(mode="json")
    set_back["warn_more_than_nine_decimals"] = True
    return Processor(
        ContractSettings.model_validate(_merged(set_back, json.loads(settings))),
        Identity(**IDENTITY.model_dump()),
    )


def _of_version_1(settings: str) -> SettingsOfVersion1:
    sent = json.loads(settings)
    known = SettingsOfVersion1().model_dump(mode="json")
    return SettingsOfVersion1.model_validate(_known(sent, known))


def _known(settings: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that version 1 does not have."""
    return {
        name: _known(value, known[name]) if isinstance(value, dict) else value
        for name, value in settings.items()
        if name in known
    }


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = below | above
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict):
            merged[name] = _merged(below[name], above[name])
    return merged


def _as_if_sent(case: Case, sent: bytes | None, before: list[Facts], now: list[Facts]) -> None:
    """Take out what follows from other bytes alone: the bytes, and ids that are made from them."""
    for old, new in zip(before, now, strict=False):
        if old.get("bytes") == sent:
            old["bytes"] = case.record.value
        elif "bytes" in old and "bytes" in new and len(before) > 1:
            old["bytes"] = new["bytes"]
        if _GENERATED in old.get("warnings", ()) and _GENERATED in new.get("warnings", ()):
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
