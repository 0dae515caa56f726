"""Dead letters as the worker writes them."""

from __future__ import annotations

import json
from typing import Any, Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.dlq.reprocess import Reprocessor

TOPIC: Final = "dead"
IDENTITY: Final = Identity(app="test/1", group="g")
SETTINGS: Final = ContractSettings()
NOW: Final = 1_800_000_000_000


def event(**changes: Any) -> dict[str, Any]:
    """A good event, changed."""
    return {"event": "Order", "userId": "u1", "properties": {"revenue": 5}, **changes}


def raw(
    value: Any, *, offset: int = 7, headers: tuple[tuple[str, bytes | None], ...] = ()
) -> Record:
    """A raw record; what is no bytes becomes JSON."""
    if not isinstance(value, bytes):
        value = json.dumps(value, separators=(",", ":")).encode()
    return Record(value, b"key", headers, NOW - 1000, "raw", 2, offset)


def dead_letters_of(record: Record, settings: ContractSettings = SETTINGS) -> list[DeadLetter]:
    """The dead letters of a raw record, as they stand in their topic."""
    outputs = Processor(settings, IDENTITY).process(record, NOW)
    refused = [output for output in outputs if output.role is Role.DEAD_LETTER]
    return [
        read_dead_letter(
            Record(each.value, each.key, each.headers, each.timestamp, TOPIC, 0, number)
        )
        for number, each in enumerate(refused)
    ]


def dead_letter_of(value: Any, **more: Any) -> DeadLetter:
    """The one dead letter of a raw record."""
    (dead_letter,) = dead_letters_of(raw(value, **more))
    return dead_letter


def crashed(value: Any) -> DeadLetter:
    """The dead letter of a raw record that has killed its process."""
    processor = Processor(SETTINGS, IDENTITY)
    out = processor.set_aside(raw(value), NOW, Reason.PROCESSING_ERROR, Stage.CRASH, "it died")
    return read_dead_letter(Record(out.value, out.key, out.headers, out.timestamp, TOPIC, 0, 0))


def enriched(event: Any) -> Record:
    """The record of the enriched topic that a good raw record gives."""
    outputs = Processor(SETTINGS, IDENTITY).process(raw(event), NOW)
    (baseline,) = (output for output in outputs if output.role is Role.ENRICHED)
    return Record(
        baseline.value, baseline.key, baseline.headers, baseline.timestamp, "enriched", 0, 0
    )


def reprocessor(settings: ContractSettings = SETTINGS) -> Reprocessor:
    """The rules under these settings."""
    return Reprocessor(settings, IDENTITY)
