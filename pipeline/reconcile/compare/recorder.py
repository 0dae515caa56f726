"""Records the differences of event pairs, in batches."""

from __future__ import annotations

from typing import Final

from pipeline.core.coordinates import Source
from pipeline.core.record import Output, Role
from pipeline.reconcile.compare.classify import (
    DifferenceKind,
    EventPair,
    EventResult,
    first_reason,
)
from pipeline.reconcile.compare.difference_store import DifferenceStore, EventDifference, pack
from pipeline.reconcile.outputs import OutputRow
from pipeline.reconcile.revenue_reader import RevenueReader

_BATCH: Final = 500
_PACKED: Final = frozenset(
    {DifferenceKind.CHANGED, DifferenceKind.NEWLY_INVALID, DifferenceKind.REDRIVEN}
)
"""Kinds whose result is needed again."""


class DifferenceRecorder:
    """Turns event pairs into differences and writes them to their store."""

    def __init__(self, differences: DifferenceStore, revenue_reader: RevenueReader) -> None:
        self._differences = differences
        self._revenue_reader = revenue_reader
        self._pending: list[EventDifference] = []

    def record(
        self, source: Source, raw: tuple[int, int], pair: EventPair, after: Output | None
    ) -> None:
        """Record one pair; `raw` is the raw record's partition and offset, `after` its output."""
        row = pair.before
        role, partition, offset = ("", -1, -1) if row is None else row[4:7]
        packed = revenue = None
        if after is not None and pair.kind is not DifferenceKind.IDENTICAL:
            packed = pack(after) if pair.kind in _PACKED else None
            if after.role is Role.ENRICHED:
                revenue = self._revenue_reader.of_enriched(after.value)
        reason = _reason(pair.kind, row, pair.after)
        self._pending.append(
            EventDifference(
                *source, pair.kind.value, reason, *raw, role, partition, offset, packed, revenue
            )
        )
        if len(self._pending) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is pending to the store."""
        self._differences.put(self._pending)
        self._pending.clear()


def _reason(kind: DifferenceKind, before: OutputRow | None, after: EventResult | None) -> str:
    rejected = before if before is not None and before.role == Role.DEAD_LETTER else None
    old = "" if rejected is None else first_reason(rejected.digest)
    new = after.reason if after is not None else ""
    if kind is DifferenceKind.OTHER_REASON:
        return f"{old} → {new}"
    return new or old
