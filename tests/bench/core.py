"""Measures the core alone: `process()` against decoding and encoding the same bytes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import msgspec
from rich.console import Console

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.encode import encode_json
from pipeline.core.policy import Policy
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.demo.generate import Generator
from tests.bench.rounds import Variant, run_rounds, show

_SETTINGS: Final = ContractSettings()
_POLICY: Final = Policy.from_settings(_SETTINGS)
_NOW: Final = 1_900_000_000_000


def measure_core(console: Console, rounds: int, events: int) -> None:
    """Measure the core and print two tables."""
    good = _records(Generator(7, invalid_share=0, batch_share=0), events)
    size = sum(len(record.value or b"") for record in good) // len(good)
    process = Processor(_SETTINGS, Identity(app="bench", group="bench")).process
    decoder = msgspec.json.Decoder(float_hook=Decimal).decode

    def baseline(record: Record) -> Any:
        return encode_json(decoder(record.value or b""))

    variants: dict[str, Variant] = {
        "decode + encode alone": _timed(baseline, good),
        "process()": _timed(lambda record: process(record, _NOW), good),
    }
    title = f"core, {len(good)} single good events of {size} bytes, {rounds} rounds"
    show(console, title, run_rounds(variants, rounds), "target: process() ≤ 3.0×")
    _measure_mix(console, rounds, events, process)


def _measure_mix(console: Console, rounds: int, events: int, process: Any) -> None:
    """Measure the usual mix, with batches and invalid events, per record."""
    mix = _records(Generator(7), events)
    decoder = msgspec.json.Decoder(float_hook=Decimal).decode

    def baseline(record: Record) -> Any:
        try:
            return encode_json(decoder(record.value or b""))
        except (ValueError, RecursionError, ArithmeticError):
            return None

    variants: dict[str, Variant] = {
        "decode + encode alone": _timed(baseline, mix),
        "process()": _timed(lambda record: process(record, _NOW), mix),
    }
    title = "core, per record of the usual mix (5 % batches, 2 % invalid events)"
    show(console, title, run_rounds(variants, rounds), "no target, for comparison")


def _records(generator: Generator, count: int) -> list[Record]:
    return [
        Record(each.value, each.key, (), each.timestamp, "track.raw", 0, offset)
        for offset, each in enumerate(islice(generator, count))
    ]


def _timed(function: Callable[[Record], Any], records: Sequence[Record]) -> Variant:
    def run() -> float:
        gc.collect()
        gc.disable()
        try:
            started = time.process_time()
            for record in records:
                function(record)
            return (time.process_time() - started) / len(records) * 1e6
        finally:
            gc.enable()

    return run
