"""Measures one core in this process, and prints CPU microseconds per event of each class.

Records are processed as a worker does it: in batches, each record once, with all outputs of a batch
kept until its end. A loop over few events, with everything in the processor's caches, is faster by
a third, and no worker ever runs in one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.worker.memory_tuning import tune_memory
from tests.bench.event_classes import GENERATED, EventClass, event_classes
from tests.bench.event_sizes import sized_events

_NOW: Final = 1_900_000_000_000
_BATCH: Final = 5000
_FEW: Final = 200
"""Records that stay in the processor's caches."""


def baseline() -> Callable[[Record], Any]:
    """Return a function that decodes a record whole, with exact numbers, and encodes it again."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    encode = msgspec.json.Encoder(decimal_format="number").encode

    def decode_and_encode(record: Record) -> Any:
        try:
            return encode(decode(record.value or b""))
        except msgspec.DecodeError:
            return None

    return decode_and_encode


def fresh_us(function: Callable[[Record], Any], records: Sequence[Record]) -> float:
    """Return CPU microseconds per record."""
    started = time.process_time()
    for start in range(0, len(records), _BATCH):
        kept = [function(record) for record in records[start : start + _BATCH]]
        del kept
    return (time.process_time() - started) / len(records) * 1e6


def measure(each: EventClass) -> dict[str, float]:
    """Measure the baseline and `process()` on one class of events."""
    process = Processor(ContractSettings(), Identity(app="bench", group="bench")).process

    def run(record: Record) -> Any:
        return process(record, _NOW)

    alone, per_event = baseline(), len(each.records) / each.events
    for function in (alone, run):  # CPython specialises what it has seen a few times
        fresh_us(function, each.records[:_FEW])
    return {
        "bytes": each.mean_bytes,
        "baseline": fresh_us(alone, each.records) * per_event,
        "process": fresh_us(run, each.records) * per_event,
    }


def _warm(each: EventClass) -> EventClass:
    records = each.records[:_FEW] * (len(each.records) // _FEW)
    return EventClass(records, len(records))


def main() -> None:
    """Measure what the arguments name: `classes` or `sizes`, and the number of events."""
    what, count = sys.argv[1], int(sys.argv[2])
    tune_memory()
    figures: dict[str, dict[str, float]] = {}
    for name, each in event_classes(count) if what == "classes" else sized_events(count):
        figures[name] = measure(each)
        if name == GENERATED:
            figures[f"as generated, {_FEW} in a loop"] = measure(_warm(each))
    print(json.dumps(figures))  # noqa: T201  read by the parent


if __name__ == "__main__":
    main()
