"""Processes raw records and counts the outcomes; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pipeline.core.counts import OutcomeCounts
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role
from pipeline.errors import TransportError

_WARNINGS: Final = b'"warnings":['


class _Enrichment(msgspec.Struct):
    warnings: list[str] = []


class _Event(msgspec.Struct):
    """The part of an enriched event that is counted."""

    enrichment: _Enrichment


_read_event: Final = msgspec.json.Decoder(_Event).decode


@dataclass(slots=True)
class DryRunCounts(OutcomeCounts):
    """Number of records and events by outcome."""

    warnings: Counter[str] = field(default_factory=Counter)
    """Warnings by code; the same warning at several places of an event counts at each."""
    left_out: int = 0
    """Number of records that were read but not selected by filters or window."""
    crashed: int = 0
    """Number of records that raised, which is a bug of ours; they count as `processing_error`."""

    def take(self, outputs: Iterable[Output]) -> None:
        """Count the outputs of one record."""
        self.records += 1
        for output in outputs:
            self.count(output)
            if output.role is Role.ENRICHED and _WARNINGS in (output.value or b""):
                for warning in _read_event(output.value or b"").enrichment.warnings:
                    self.warnings[warning.partition(" ")[0]] += 1

    @property
    def refused(self) -> int:
        """Number of dead letters, all reasons together."""
        return self.dead_letters.total()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "records": self.records,
            "left_out": self.left_out,
            **OutcomeCounts.to_dict(self),
            "dropped_reasons": dict(self.dropped.most_common()),
            "warnings": dict(self.warnings.most_common()),
            "crashed": self.crashed,
        }


class DryRunProcessor:
    """Runs the real rules on raw records, as the worker does, and counts their outcomes."""

    def __init__(
        self,
        processor: Processor,
        now: int,
        is_selected: Callable[[Record], bool] | None = None,
        limit: int | None = None,
    ) -> None:
        """`now` is the wall clock, epoch milliseconds.

        `is_selected` separates the records of the window from others that are read with them; the
        run ends after `limit` selected records.
        """
        self.counts = DryRunCounts()
        self.processor = processor
        self._now = now
        self._is_selected = is_selected
        self._limit = limit

    @property
    def contract(self) -> str:
        """`version;hash` of the rules."""
        return self.processor.contract

    def is_full(self) -> bool:
        """Whether the run has ended at `limit`, so there may be more records."""
        return self._limit is not None and self.counts.records >= self._limit

    def run(self, records: Iterable[Record]) -> DryRunCounts:
        """Process all records and return the counts."""
        for _ in self.results(records):
            pass
        return self.counts

    def results(
        self, records: Iterable[Record]
    ) -> Iterator[tuple[Record, Sequence[Output] | None]]:
        """Yield each record with its outputs, counted; with None when it is not selected."""
        counts, is_selected = self.counts, self._is_selected
        if self.is_full():
            return
        for record in records:
            if is_selected is not None and not is_selected(record):
                counts.left_out += 1
                yield record, None
                continue
            outputs = self.outputs(record)
            counts.take(outputs)
            yield record, outputs
            if self.is_full():
                return

    def outputs(self, record: Record) -> Sequence[Output]:
        """Process one record without counting its outputs.

        Raises TransportError when its schema can't be looked up now.
        """
        try:
            return self.processor.process(record, self._now)
        except TransportError:
            raise
        except Exception:  # noqa: BLE001  as in the worker: a bug of ours is a dead letter
            self.counts.crashed += 1
            return (self.processor.crashed(record, self._now),)
