"""A batch in pieces: to find the one record that a broker refuses, or that kills the process.

Every piece is a transaction of its own, in the order of the batch, so that what is committed is
always a beginning of each partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record
from pipeline.ports import Batch, Positions, Span


class ForcedOutcome(NamedTuple):
    """Why a record is dead-lettered whatever `process` makes of it."""

    reason: Reason
    stage: Stage
    detail: str


QUARANTINED = ForcedOutcome(
    Reason.PROCESSING_ERROR, Stage.CRASH, "it is quarantined: this program was killed over it"
)


class SubBatch(NamedTuple):
    """Part of a batch that is committed by itself."""

    batch: Batch
    forced: ForcedOutcome | None = None
    """Of every record in it."""
    pointers: bool = False
    """Dead letters are replaced by pointers, since their topic refused them."""


def spans(records: Iterable[Record]) -> list[Span]:
    """The smallest span of each partition that holds the records."""
    ends: dict[tuple[str, int], tuple[int, int]] = {}
    for record in records:
        place = record.topic, record.partition
        first, _ = ends.get(place, (record.offset, 0))
        ends[place] = first, record.offset
    return [Span(*place, first, last) for place, (first, last) in ends.items()]


def split(batch: Batch, suspects: Sequence[Span], quarantined: Sequence[Span]) -> list[SubBatch]:
    """The batch, cut so that condemned records are alone and suspects are in halves.

    Without either, which is the rule, the batch is one piece.
    """
    if not suspects and not quarantined:
        return [SubBatch(batch)]
    groups: list[tuple[object, list[Record]]] = []
    for record in batch.records:
        kind = _kind(record, suspects, quarantined)
        if groups and groups[-1][0] == kind and kind != QUARANTINED:
            groups[-1][1].append(record)
        else:
            groups.append((kind, [record]))
    if not groups:
        return [SubBatch(batch)]
    return _covering(
        batch,
        [
            SubBatch(Batch(part, {}), QUARANTINED if kind == QUARANTINED else None)
            for kind, records in groups
            for part in (_half(records) if isinstance(kind, Span) else [records])
        ],
    )


def bisect(sub_batch: SubBatch) -> list[SubBatch]:
    """A piece of at least two records as two pieces."""
    return _covering(
        sub_batch.batch,
        [sub_batch._replace(batch=Batch(part, {})) for part in _half(sub_batch.batch.records)],
    )


def isolate(sub_batch: SubBatch, number: int) -> list[SubBatch]:
    """A piece as up to three: what is before its record of this number, the record, the rest."""
    records = sub_batch.batch.records
    parts = (records[:number], records[number : number + 1], records[number + 1 :])
    return _covering(
        sub_batch.batch, [sub_batch._replace(batch=Batch(part, {})) for part in parts if part]
    )


def remainder(queue: Sequence[SubBatch]) -> Batch:
    """What is still to be done, as one batch."""
    positions: dict[tuple[str, int], int] = {}
    for sub_batch in queue:
        positions.update(sub_batch.batch.positions)
    return Batch([record for sub_batch in queue for record in sub_batch.batch.records], positions)


def _kind(record: Record, suspects: Sequence[Span], quarantined: Sequence[Span]) -> object:
    if any(_holds(span, record) for span in quarantined):
        return QUARANTINED
    return next((span for span in suspects if _holds(span, record)), None)


def _holds(span: Span, record: Record) -> bool:
    return (
        span.first <= record.offset <= span.last
        and span.partition == record.partition
        and span.topic == record.topic
    )


def _half(records: list[Record]) -> list[list[Record]]:
    middle = len(records) // 2
    return [part for part in (records[:middle], records[middle:]) if part]


def _covering(batch: Batch, parts: list[SubBatch]) -> list[SubBatch]:
    """The parts with their positions: behind their last records, and in the end the batch's own.

    Those of partitions without records go with the first part.
    """
    left = dict(batch.positions)
    covered = []
    for part in reversed(parts):
        ends = {(span.topic, span.partition): span.last + 1 for span in spans(part.batch.records)}
        # The batch's position may be behind what follows its last record and is never delivered.
        positions: Positions = {place: left.pop(place, end) for place, end in ends.items()}
        covered.append(part._replace(batch=part.batch._replace(positions=positions)))
    first = covered[-1].batch
    covered[-1] = covered[-1]._replace(batch=first._replace(positions={**left, **first.positions}))
    return covered[::-1]
