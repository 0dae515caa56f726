"""What the rules make of raw records, counted; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pipeline.core.counts import OutcomeCounts
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role

_WARNINGS: Final = b'"warnings":['


class _Enrichment(msgspec.Struct):
    warnings: list[str] = []


class _Event(msgspec.Struct):
    """Only what is counted of an enriched event."""

    enrichment: _Enrichment


_read_event: Final = msgspec.json.Decoder(_Event).decode


@dataclass(slots=True)
class DryRunCounts(OutcomeCounts):
    """What would become of records, with the warnings of the events."""

    warnings: Counter[str] = field(default_factory=Counter)
    """By code; an event with the same warning at several places counts each."""
    crashed: int = 0
    """Records that `process` raised on, which is a bug of ours; dead letters `processing_error`."""

    def take(self, outputs: Iterable[Output]) -> None:
        """Count a record's outputs."""
        self.records += 1
        for output in outputs:
            self.count(output)
            if output.role is Role.ENRICHED and _WARNINGS in (output.value or b""):
                for warning in _read_event(output.value or b"").enrichment.warnings:
                    self.warnings[warning.partition(" ")[0]] += 1

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "records": self.records,
            "left_out": self.left_out,
            **OutcomeCounts.to_dict(self),
            "dropped_reasons": dict(self.dropped.most_common()),
            "warnings": dict(self.warnings.most_common()),
            "crashed": self.crashed,
        }


class Rehearsal:
    """Runs the real rules over raw records, as the worker does, and counts what they make."""

    def __init__(
        self,
        processor: Processor,
        now: int,
        is_meant: Callable[[Record], bool] | None = None,
        most: int | None = None,
    ) -> None:
        """`now` is the wall clock, epoch milliseconds.

        `is_meant` tells the records of the window from others that are read with them; after
        `most` records that are meant it ends.
        """
        self.counts = DryRunCounts()
        self._processor = processor
        self._now = now
        self._is_meant = is_meant
        self._most = most

    def is_full(self) -> bool:
        """Whether `most` has ended it, so that there may be more records."""
        return self._most is not None and self.counts.records >= self._most

    def run(self, records: Iterable[Record]) -> DryRunCounts:
        """Count what becomes of the records."""
        for _ in self.results(records):
            pass
        return self.counts

    def results(
        self, records: Iterable[Record]
    ) -> Iterator[tuple[Record, Sequence[Output] | None]]:
        """Each record with its outputs, counted; with None when it is not meant."""
        counts, is_meant = self.counts, self._is_meant
        if self.is_full():
            return
        for record in records:
            if is_meant is not None and not is_meant(record):
                counts.left_out += 1
                yield record, None
                continue
            outputs = self.outputs(record)
            counts.take(outputs)
            yield record, outputs
            if self.is_full():
                return

    def outputs(self, record: Record) -> Sequence[Output]:
        """What the rules make of a record, not counted."""
        try:
            return self._processor.process(record, self._now)
        except Exception:  # noqa: BLE001  as in the worker: a bug of ours is a dead letter
            self.counts.crashed += 1
            return (self._processor.crashed(record, self._now),)
