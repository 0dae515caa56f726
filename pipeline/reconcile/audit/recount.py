"""Checks whether the output topics hold exactly what the rules make of the raw topic.

The result depends on the topics alone: every raw record below the group's committed offset is
processed again, and each of its events must have exactly its outcome. First the outputs are read
and sorted by the raw records that they name; then the raw records are read next to them, once.
`pipeline.reconcile.audit.run` does it on a cluster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from pipeline.core.coordinates import Source
from pipeline.core.origin import Origin
from pipeline.core.record import Output, Record
from pipeline.ports import Reader
from pipeline.progress import Gauge, OnProgress
from pipeline.reconcile.audit.collect import OutputCollector
from pipeline.reconcile.audit.expect import (
    ExpectationBuilder,
    ExpectedRecord,
    decode_expected,
    encode_expected,
)
from pipeline.reconcile.audit.match import CONTENTS, Match, UnmatchedKind, match_record
from pipeline.reconcile.audit.recorder import ResultRecorder
from pipeline.reconcile.audit.request import AuditRequest
from pipeline.reconcile.audit.result import AuditResult, DiscrepancyKind
from pipeline.reconcile.audit.rules import AuditRules
from pipeline.reconcile.output_store import OutputStore, RowCursor
from pipeline.reconcile.outputs import POINTER, SET_ASIDE
from pipeline.reconcile.ranges import AuditRanges, OutputPartitioner
from pipeline.reconcile.revenue import RevenueBalance

_SPECIAL: Final = SET_ASIDE | POINTER


def recount(  # noqa: PLR0913  made in one place, by keyword
    reader: Reader,
    ranges: AuditRanges,
    rules: AuditRules,
    partitioner: OutputPartitioner,
    request: AuditRequest,
    *,
    accept_origin: bool,
    now: int,
    on_progress: OnProgress | None = None,
) -> AuditResult:
    """Compare the outputs with the raw records; the window is that of `ranges`.

    `rules` must be those that were in force; `accept_origin` is one of them. `now` is the wall
    clock, epoch milliseconds. Raises TransportError when the topics can't be read, or the schema of
    a record can't be looked up, and OSError when the temporary file can't be written.
    """
    started = time.monotonic()
    result = _empty_result(ranges, rules.processor.contract, with_revenue=request.revenue)
    revenue_reader = rules.revenue_reader if request.revenue else None
    expectations = ExpectationBuilder(
        rules, partitioner, revenue_reader, accept_origin=accept_origin, now=now
    )
    with OutputStore(request.spill_dir, request.cache_kib) as store:
        collector = OutputCollector(
            ranges,
            store,
            result,
            revenue_reader,
            rules.forms,
            keeps_outside=accept_origin,
            show=request.show,
        )
        collector.collect(reader, on_progress)
        recorder = ResultRecorder(ranges, store, result, collector.gaps, request.show)
        matcher = _RecordMatcher(
            ranges=ranges,
            reader=reader,
            store=store,
            expectations=expectations,
            recorder=recorder,
            result=result,
        )
        matcher.run(on_progress, to_last=accept_origin)
    order = list(DiscrepancyKind)
    result.discrepancies.sort(key=lambda discrepancy: order.index(discrepancy.kind))
    result.seconds = time.monotonic() - started
    return result


def _empty_result(ranges: AuditRanges, contract: str, *, with_revenue: bool) -> AuditResult:
    return AuditResult(
        contract=contract,
        group=ranges.group,
        ranges={
            f"{ranges.raw_topic}/{number}": (part.first, part.end)
            for number, part in sorted(ranges.raw.items())
        },
        revenue=RevenueBalance() if with_revenue else None,
    )


class _RecordMatcher:
    """Processes the raw records again and matches each with its outputs."""

    def __init__(  # noqa: PLR0913  made in one place
        self,
        *,
        ranges: AuditRanges,
        reader: Reader,
        store: OutputStore,
        expectations: ExpectationBuilder,
        recorder: ResultRecorder,
        result: AuditResult,
    ) -> None:
        self._ranges = ranges
        self._reader = reader
        self._store = store
        self._expectations = expectations
        self._recorder = recorder
        self._result = result
        self._rows = {
            number: RowCursor(store.of_partition(ranges.raw_topic, number)) for number in ranges.raw
        }

    def run(self, on_progress: OnProgress | None, *, to_last: bool) -> None:
        """Match every record of the window, then the copies, then report what is left."""
        offsets = self._ranges.raw_ranges(to_last=to_last)
        gauge = Gauge("processing the raw records again", offsets, on_progress)
        for record in self._reader.read(offsets):
            gauge.passed(record)
            self._match(record)
        for rows in self._rows.values():
            self._store.add_unmatched(rows.rest(), UnmatchedKind.UNKNOWN)
        gauge.finished()
        for encoded in self._store.deferred():
            self._match_copy(decode_expected(encoded))
        self._recorder.record_unmatched()

    def _match(self, record: Record) -> None:
        ranges, rows = self._ranges, self._rows[record.partition]
        # No raw record exists at the offsets in between, so their outputs belong to none.
        stray = rows.before(record.offset)
        if stray:
            self._store.add_unmatched(stray, UnmatchedKind.UNKNOWN)
        own = rows.take(record.offset)
        inside = record.offset < ranges.raw[record.partition].end
        inside = inside and ranges.window.holds(record.timestamp)
        origin = self._expectations.origin(record)
        if origin[:4] != (record.topic, record.partition, record.offset, None):
            kind = UnmatchedKind.UNKNOWN if inside else UnmatchedKind.OUTSIDE
            self._store.add_unmatched(own, kind)
            self._defer(record, origin, is_optional=not inside)
        elif inside:
            outputs = self._expectations.outputs(record)
            special = any(row.marks & _SPECIAL for row in own)
            expected = self._expectations.expected(record, origin, outputs, special=special)
            matched = match_record(expected, own)
            if not matched.is_plain:
                self._expectations.read_revenue(expected, outputs, origin)
            explain = partial(self._explain, outputs=outputs)
            self._recorder.record(expected, matched, explain, in_order=True)
        else:
            self._result.excluded["outside"] += len(own)
            self._store.add_unmatched(own, UnmatchedKind.OUTSIDE)

    def _defer(self, record: Record, origin: Origin, *, is_optional: bool) -> None:
        """Keep a copy for later: its outputs name its origin, which is matched first."""
        self._result.excluded["copies"] += 1
        outputs = self._expectations.outputs(record)
        expected = self._expectations.expected(record, origin, outputs, special=True)
        expected.is_optional = is_optional
        self._expectations.read_revenue(expected, outputs, origin)
        self._store.defer(encode_expected(expected))

    def _match_copy(self, expected: ExpectedRecord) -> None:
        """Match a copy with the outputs that its origin has left."""
        source = Source(expected.topic, expected.partition, expected.offset, expected.item)
        rows = self._store.unmatched_of(source)
        matched = match_record(expected, rows)
        self._store.remove_unmatched([match.row for match in matched.matches])
        # The others are in the store already.
        matched.unmatched.clear()
        self._recorder.record(expected, matched, lambda _: "differs", in_order=False)

    def _explain(self, match: Match, *, outputs: Sequence[Output]) -> str:
        """Read an output again to say what is wrong with it."""
        row, expected = match.row, match.expected
        if expected is None or row.marks & POINTER:
            return f"its {CONTENTS} are not those of the raw record"
        output = outputs[expected.number]
        place = self._ranges.topics[output.role], row.out_partition
        for found in self._reader.read({place: (row.out_offset, row.out_offset + 1)}):
            return self._expectations.forms.describe(output, found)
        return "it was deleted meanwhile"
