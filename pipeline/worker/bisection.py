"""Parts of a batch: to find the record that the broker rejects or that kills the process.

A part is also what a transaction takes of a batch whose outputs are too many for one. Each
sub-batch is a transaction of its own, in the order of the batch. So what is committed is always a
prefix of each partition. Pure: values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final, NamedTuple

from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record
from pipeline.ports import Batch, Positions, Span

_place: Final = itemgetter(4, 5)
"""Topic and partition of a Record."""


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
    # Records of a partition arrive in runs, and this is called for each batch.
    for partition, run in groupby(records, _place):
        together = list(run)
        first, _ = ends.get(partition, (together[0].offset, 0))
        ends[partition] = first, together[-1].offset
    return [Span(*partition, first, last) for partition, (first, last) in ends.items()]


def split(
    batch: Batch, suspects: Sequence[Span], forced: Mapping[Span, ForcedOutcome]
) -> list[SubBatch]:
    """Split a batch so that records with a forced outcome are alone and suspect spans are bisected.

    Usually there are neither, and the whole batch is one sub-batch.
    """
    if not suspects and not forced:
        return [SubBatch(batch)]
    groups: list[tuple[Span | ForcedOutcome | None, list[Record]]] = []
    for record in batch.records:
        kind = _kind(record, suspects, forced)
        if groups and groups[-1][0] == kind and not isinstance(kind, ForcedOutcome):
            groups[-1][1].append(record)
        else:
            groups.append((kind, [record]))
    if not groups:
        return [SubBatch(batch)]
    return _covering(
        batch,
        [
            SubBatch(Batch(part, {}), kind if isinstance(kind, ForcedOutcome) else None)
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
    return _cut_at(sub_batch, number, number + 1)


def cut(sub_batch: SubBatch, number: int) -> list[SubBatch]:
    """Split a sub-batch behind its first records, of this number; one part if that is all."""
    return _cut_at(sub_batch, number) if sub_batch.batch.records else [sub_batch]


def _cut_at(sub_batch: SubBatch, *numbers: int) -> list[SubBatch]:
    records = sub_batch.batch.records
    ends = [0, *numbers, len(records)]
    parts = [records[first:end] for first, end in pairwise(ends)]
    return _covering(
        sub_batch.batch, [sub_batch._replace(batch=Batch(part, {})) for part in parts if part]
    )


def remainder(queue: Sequence[SubBatch]) -> Batch:
    """Return what is not committed yet as one batch."""
    positions: dict[tuple[str, int], int] = {}
    for sub_batch in queue:
        positions.update(sub_batch.batch.positions)
    return Batch([record for sub_batch in queue for record in sub_batch.batch.records], positions)


def _kind(
    record: Record, suspects: Sequence[Span], forced: Mapping[Span, ForcedOutcome]
) -> Span | ForcedOutcome | None:
    for span, outcome in forced.items():
        if holds(span, record):
            return outcome
    return next((span for span in suspects if holds(span, record)), None)


def holds(span: Span, record: Record) -> bool:
    """Return whether the record is in the span."""
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
