"""Bisecting a batch, to find the record that the broker rejects or that kills the process.

Each sub-batch is a transaction of its own, in the order of the batch. So what is committed is
always a prefix of each partition. Pure: values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record
from pipeline.ports import Batch, Positions, Span


class ForcedOutcome(NamedTuple):
    """The reason for which records are dead-lettered without being processed."""

    reason: Reason
    stage: Stage
    detail: str


QUARANTINED = ForcedOutcome(
    Reason.PROCESSING_ERROR, Stage.CRASH, "it is quarantined: processing it killed this program"
)


class SubBatch(NamedTuple):
    """A part of a batch that is committed in a transaction of its own."""

    batch: Batch
    forced: ForcedOutcome | None = None
    """Outcome of every record in it; None processes them as usual."""
    pointers: bool = False
    """Whether dead letters are replaced by pointers, because their topic rejected them."""


def spans(records: Iterable[Record]) -> list[Span]:
    """Return the smallest span of each partition that covers the records."""
    ends: dict[tuple[str, int], tuple[int, int]] = {}
    for record in records:
        partition = record.topic, record.partition
        first, _ = ends.get(partition, (record.offset, 0))
        ends[partition] = first, record.offset
    return [Span(*partition, first, last) for partition, (first, last) in ends.items()]


def split(batch: Batch, suspects: Sequence[Span], quarantined: Sequence[Span]) -> list[SubBatch]:
    """Split a batch so that quarantined records are alone and suspect spans are bisected.

    Usually there are neither, and the whole batch is one sub-batch.
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
    """Split a sub-batch of at least two records in two."""
    return _covering(
        sub_batch.batch,
        [sub_batch._replace(batch=Batch(part, {})) for part in _half(sub_batch.batch.records)],
    )


def isolate(sub_batch: SubBatch, number: int) -> list[SubBatch]:
    """Split a sub-batch in up to three: before the record of this number, the record, the rest."""
    records = sub_batch.batch.records
    parts = (records[:number], records[number : number + 1], records[number + 1 :])
    return _covering(
        sub_batch.batch, [sub_batch._replace(batch=Batch(part, {})) for part in parts if part]
    )


def remainder(queue: Sequence[SubBatch]) -> Batch:
    """Return what is not committed yet as one batch."""
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
    """Give each part its positions: behind its last records, and in the last part the batch's own.

    Positions of partitions without records go with the first part.
    """
    left = dict(batch.positions)
    covered = []
    for part in reversed(parts):
        ends = {(span.topic, span.partition): span.last + 1 for span in spans(part.batch.records)}
        # The batch's position may be behind markers and aborted records after its last record.
        positions: Positions = {each: left.pop(each, end) for each, end in ends.items()}
        covered.append(part._replace(batch=part.batch._replace(positions=positions)))
    first = covered[-1].batch
    covered[-1] = covered[-1]._replace(batch=first._replace(positions={**left, **first.positions}))
    return covered[::-1]
