"""Both cores under the same settings: every default of version 1 is spelled out for today's."""

from __future__ import annotations

import json
from decimal import Overflow
from functools import cache
from typing import Any

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output
from tests.oracle.contract_1.contract import ContractSettings as SettingsOfVersion1
from tests.oracle.contract_1.contract import Identity as IdentityOfVersion1
from tests.oracle.contract_1.process import Processor as ProcessorOfVersion1
from tests.oracle.contract_1.record import Record as RecordOfVersion1
from tests.oracle.corpus import Case
from tests.support import IDENTITY, NOW


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
