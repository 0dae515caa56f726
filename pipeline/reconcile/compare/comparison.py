"""Compares the results of the rules with the existing outputs, event by event.

First the existing outputs are read and sorted by the raw records that they name. Then the raw
records are processed next to them, once, and differences are stored. Finally the outputs that
differ are read again, to find the fields and the revenue. Memory use stays small, because outputs
and differences are in temporary files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.origin import Origin, read_origin
from pipeline.core.record import NO_PARTITION, Output, Record
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.compare.classify import (
    DifferenceKind,
    EventPair,
    EventResult,
    classify_record,
    event_results,
)
from pipeline.reconcile.compare.difference_store import DifferenceStore, raw_place
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.reconcile.compare.existing import ExistingOutputs
from pipeline.reconcile.compare.field_diff import CompareOptions, FieldDiff
from pipeline.reconcile.compare.recorder import DifferenceRecorder
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.output_store import OutputStore, RowCursor
from pipeline.reconcile.outputs import REDRIVEN, REPLAYED, OutputRow
from pipeline.reconcile.ranges import AuditRanges, OutputPartitioner
from pipeline.reconcile.revenue_reader import RevenueReader


@dataclass(frozen=True, slots=True)
class ComparisonTarget:
    """What results are compared with."""

    ranges: AuditRanges
    """Raw offsets, and the topics: enriched events, and dead letters where they are known."""
    partitioner: OutputPartitioner
    committed: dict[int, int] | None = None
    """Raw partition → offset that the live group has committed; no outputs of later records can
    exist. None when all outputs can."""
    accept_origin: bool = False
    """Whether raw records may be copies of others (a setting of the contract)."""
    items: Callable[[Record], frozenset[int] | None] = lambda _: None
    """Returns the indexes of a batch's selected items; None for all of them."""


class Comparison:
    """One comparison; `run` makes the report and leaves the differences in their file."""

    def __init__(
        self,
        target: ComparisonTarget,
        dry_run: DryRunProcessor,
        differences: DifferenceStore,
        options: CompareOptions,
    ) -> None:
        self.report = ComparisonReport(topics=list(target.ranges.topics.values()))
        self._target = target
        self._ranges = target.ranges
        self._dry_run = dry_run
        self._differences = differences
        self._options = options
        self._contract = dry_run.contract
        self._revenue_reader = RevenueReader(dry_run.processor)
        self._recorder = DifferenceRecorder(differences, self._revenue_reader)

    def run(
        self,
        reader: Reader,
        folder: Path | None = None,
        on_progress: OnProgress | None = None,
        records: Iterable[Record] | None = None,
    ) -> ComparisonReport:
        """Compare the ranges of the raw topic, or only `records` of it, in any order.

        Raises TransportError, and OSError when temporary files can't be written.
        """
        with OutputStore(folder) as store:
            existing = ExistingOutputs(
                self._ranges,
                store,
                self._contract,
                self.report.excluded,
                keeps_all=self._target.accept_origin or records is not None,
            )
            existing.collect(reader, on_progress)
            if records is None:
                self._compare_topic(reader, store, existing, on_progress)
            else:
                self._compare_records(records, store, existing)
            self._recorder.flush()
            topics = dict(self._ranges.topics)
            field_diff = FieldDiff(topics, self._differences, self.report, self._options)
            field_diff.read_again(reader, self._revenue_reader, on_progress)
            self._add_revenue_after()
            field_diff.sum_up()
            self._differences.save()
        return self.report

    def _compare_topic(
        self,
        reader: Reader,
        store: OutputStore,
        existing: ExistingOutputs,
        on_progress: OnProgress | None,
    ) -> None:
        ranges, accept_origin = self._ranges, self._target.accept_origin
        rows = {n: RowCursor(store.of_partition(ranges.raw_topic, n)) for n in ranges.raw}
        offsets = ranges.raw_ranges(to_last=accept_origin)
        gauge = Gauge("processing the raw records", offsets, on_progress)
        window = self._dry_run.results(self._inside(reader.read(offsets), gauge, store))
        for record, outputs in window:
            self._compare_strays(rows[record.partition].before(record.offset))
            own = rows[record.partition].take(record.offset)
            if outputs is None:
                continue
            origin = read_origin(record, accept_headers=accept_origin)
            if self._is_copy(record, origin):
                self._compare_copy(record, origin, outputs, store, inside=True)
            elif not self._is_ahead(record):
                self._compare_record(record, origin, outputs, own, existing)
        if not self._dry_run.is_full():
            gauge.finished()
            for rest in rows.values():
                self._compare_strays(rest.rest())

    def _compare_records(
        self, records: Iterable[Record], store: OutputStore, existing: ExistingOutputs
    ) -> None:
        """Compare single records; the outputs of other records are not reported."""
        for record, outputs in self._dry_run.results(records):
            if outputs is None:
                continue
            if record.partition == NO_PARTITION:
                self.report.excluded["without_coordinates"] += 1
                continue
            origin = read_origin(record, accept_headers=self._target.accept_origin)
            if self._is_copy(record, origin):
                self._compare_copy(record, origin, outputs, store, inside=True)
            else:
                own = store.of_source(Source(record.topic, record.partition, record.offset))
                self._compare_record(record, origin, outputs, own, existing)

    def _inside(
        self, records: Iterable[Record], gauge: Gauge, store: OutputStore
    ) -> Iterator[Record]:
        """Yield the records of the window; of those after it only the copies are compared."""
        for record in records:
            gauge.passed(record)
            if record.offset < self._ranges.raw[record.partition].end:
                yield record
                continue
            origin = read_origin(record, accept_headers=True)
            if self._is_copy(record, origin):
                outputs = self._dry_run.outputs(record)
                self._compare_copy(record, origin, outputs, store, inside=False)

    def _is_copy(self, record: Record, origin: Origin) -> bool:
        return origin[:4] != (record.topic, record.partition, record.offset, None)

    def _is_ahead(self, record: Record) -> bool:
        committed = self._target.committed
        is_ahead = committed is not None and record.offset >= committed.get(record.partition, 0)
        self.report.excluded["ahead"] += is_ahead
        return is_ahead

    def _compare_record(
        self,
        record: Record,
        origin: Origin,
        outputs: Sequence[Output],
        own: list[OutputRow],
        existing: ExistingOutputs,
    ) -> None:
        items = self._target.items(record) if own else None
        if items is not None:
            own = [row for row in own if row.item in items or row.item == NO_ITEM]
        for pair in self._pairs(event_results(origin, outputs), own):
            if pair.before is None and pair.kind is not DifferenceKind.IDENTICAL:
                after = outputs[pair.after.number] if pair.after is not None else outputs[0]
                number = self._target.partitioner(after.role, record.partition, record.key)
                if existing.gaps.may_hide(record.partition, record.offset, after.role, number):
                    self.report.excluded["expired"] += 1
                    continue
            self._record_difference(record, origin, outputs, pair)
        if len(own) > 1:
            self.report.excluded["duplicated"] += _duplicates(own)

    def _compare_copy(
        self,
        record: Record,
        origin: Origin,
        outputs: Sequence[Output],
        store: OutputStore,
        *,
        inside: bool,
    ) -> None:
        """Compare a copy in place of its original, whose outputs it follows.

        All existing outputs are in the store by now, so it need not wait for its original.
        """
        own = store.of_source(Source(origin.topic, origin.partition, origin.offset))
        events = event_results(origin, outputs)
        self._recorder.flush()
        for pair in self._pairs(events, own):
            if pair.kind is DifferenceKind.ORPHANED:
                continue
            source = Source(*origin[:3], pair.item)
            if inside or self._differences.find(source):
                self._record_difference(record, origin, outputs, pair)
        self.report.excluded["copies"] += 1

    def _pairs(
        self, events: Sequence[EventResult], own: Sequence[OutputRow]
    ) -> Iterator[EventPair]:
        return classify_record(events, own, known=self._ranges.topics)

    def _record_difference(
        self, record: Record, origin: Origin, outputs: Sequence[Output], pair: EventPair
    ) -> None:
        """Store a difference; an identical event only when a copy may still replace it."""
        if pair.kind is DifferenceKind.IDENTICAL and not self._target.accept_origin:
            self.report.kinds[DifferenceKind.IDENTICAL] += 1
            return
        after = None if pair.after is None else outputs[pair.after.number]
        source = Source(origin.topic, origin.partition, origin.offset, pair.item)
        self._recorder.record(source, raw_place(record), pair, after)

    def _compare_strays(self, rows: Iterable[OutputRow]) -> None:
        """Record the outputs whose raw record does not exist."""
        inside = (row for row in rows if self._is_inside(row))
        for (topic, partition, offset), own in groupby(inside, lambda row: row[:3]):
            for pair in classify_record((), list(own), known=self._ranges.topics):
                source = Source(topic, partition, offset, pair.item)
                self._recorder.record(source, (partition, offset), pair, None)

    def _is_inside(self, row: OutputRow) -> bool:
        part = self._ranges.raw[row.partition]
        return part.first <= row.offset < part.end

    def _add_revenue_after(self) -> None:
        for kind in (DifferenceKind.CHANGED, DifferenceKind.NEWLY_VALID, DifferenceKind.MISSING):
            for difference in self._differences.all_of(kind):
                self.report.revenue.add(kind, difference.revenue, is_after=True)


def _duplicates(rows: Iterable[OutputRow]) -> int:
    """Count the additional outputs of an event, except those that were written on purpose."""
    seen: set[tuple[int, str]] = set()
    more = 0
    for row in rows:
        if row.marks & (REPLAYED | REDRIVEN):
            continue
        more += (row.item, row.role) in seen
        seen.add((row.item, row.role))
    return more
