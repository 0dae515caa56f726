"""Turns the match results of all records into counts, discrepancies and sums of revenue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.record import Role
from pipeline.reconcile.audit.expect import ExpectedOutput, ExpectedRecord
from pipeline.reconcile.audit.key_order import KeyOrder
from pipeline.reconcile.audit.match import CONTENTS, WORDS, Match, MatchResult, UnmatchedKind
from pipeline.reconcile.audit.result import AuditResult, Discrepancy, DiscrepancyKind
from pipeline.reconcile.audit.revenue_recorder import RevenueRecorder
from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.outputs import OTHER_RULES, POINTER, SET_ASIDE, OutputRow
from pipeline.reconcile.ranges import AuditRanges
from pipeline.reconcile.retention import RetentionGaps

Explain = Callable[[Match], str]
"""Says how a matched output deviates from the expected one."""
_MARKS: Final = {
    OTHER_RULES: "other_rules",
    SET_ASIDE: "set_aside",
    POINTER: "pointers",
}


class ResultRecorder:
    """Records match results, which are given to it in the order of each raw partition."""

    def __init__(
        self,
        ranges: AuditRanges,
        store: OutputStore,
        result: AuditResult,
        gaps: RetentionGaps,
        show: int,
    ) -> None:
        self._ranges = ranges
        self._store = store
        self._result = result
        self._gaps = gaps
        self._show = show
        self._order = KeyOrder(store)
        self._revenue = None if result.revenue is None else RevenueRecorder(result.revenue, store)
        self._under_other_rules: dict[int, bool] = {}

    def record(
        self, expected: ExpectedRecord, matched: MatchResult, explain: Explain, *, in_order: bool
    ) -> None:
        """Record one raw record; `in_order` is False for copies, which are late by nature."""
        if not expected.is_optional:
            self._count(expected)
        missing = [each for each in matched.missing if not self._is_excused(expected, each)]
        for each in missing:
            source = Source(expected.topic, expected.partition, expected.offset, each.item)
            self._report(DiscrepancyKind.MISSING, source, "", _missing_detail(expected, each))
        for match in matched.matches:
            self._record_match(match, explain, in_order=in_order)
        for row, kind in matched.unmatched:
            self._store.add_unmatched([row], kind)
        if self._revenue is not None:
            excused = [each for each in matched.missing if each not in missing]
            self._revenue.record(expected, matched, excused, in_order=in_order)
        if matched.matches:
            last = matched.matches[-1].row.marks
            self._under_other_rules[expected.partition] = bool(last & OTHER_RULES)

    def record_unmatched(self) -> None:
        """Record the outputs that have matched no event in the end."""
        balance = self._result.revenue
        for row, unmatched_kind in self._store.unmatched():
            if unmatched_kind == UnmatchedKind.OUTSIDE:
                continue
            if balance is not None:
                balance.sums(row.role).add(row.revenue)
            kind, detail = _unmatched_detail(row, unmatched_kind)
            if unmatched_kind == UnmatchedKind.UNKNOWN and self._ranges.raw_is_compacted:
                self._result.excluded["compacted"] += 1
            else:
                self._report(kind, row.source, self._output(row), detail)

    def _count(self, expected: ExpectedRecord) -> None:
        result = self._result
        result.records += 1
        result.events += len(expected.events)
        result.identify += len(expected.messages)
        for each in expected.events:
            if each.role == Role.ENRICHED:
                result.enriched += 1
            elif each.role == Role.DEAD_LETTER:
                result.dead_letters += 1
            elif each.role == Role.OTHER:
                result.forwarded += 1
            else:
                result.dropped += 1

    def _record_match(self, match: Match, explain: Explain, *, in_order: bool) -> None:
        row = match.row
        if row.marks:
            for mark, word in _MARKS.items():
                if row.marks & mark:
                    self._result.excluded[word] += 1
        if match.fault:
            detail = match.fault
            if detail == CONTENTS and self._result.mismatched < self._show:
                detail = explain(match)
            self._report(DiscrepancyKind.MISMATCHED, row.source, self._output(row), detail)
        if in_order and self._order.is_late(row):
            detail = "an event of the same key that was sent earlier comes later"
            self._report(DiscrepancyKind.OUT_OF_ORDER, row.source, self._output(row), detail)

    def _is_excused(self, expected: ExpectedRecord, output: ExpectedOutput) -> bool:
        """Whether the audit can't know if a missing output ever existed."""
        if expected.is_optional:
            return True
        if self._gaps.may_hide(
            expected.partition, expected.offset, output.role, output.out_partition
        ):
            self._result.excluded["expired"] += 1
            return True
        if output.of_other_type and self._under_other_rules.get(expected.partition):
            self._result.excluded["perhaps_dropped"] += 1
            return True
        return False

    def _output(self, row: OutputRow) -> str:
        return f"{self._ranges.topics[Role(row.role)]}/{row.out_partition}/{row.out_offset}"

    def _report(self, kind: DiscrepancyKind, source: Source, output: str, detail: str) -> None:
        self._result.report(Discrepancy(kind, source.text(), output, detail), self._show)


def _missing_detail(expected: ExpectedRecord, output: ExpectedOutput) -> str:
    own = f"{expected.topic}/{expected.partition}/{expected.offset}"
    copy = "" if expected.read_at == own else f", read as a copy at {expected.read_at}"
    return f"{WORDS[Role(output.role)]} is expected{copy}"


def _unmatched_detail(row: OutputRow, kind: str) -> tuple[DiscrepancyKind, str]:
    word = WORDS[Role(row.role)]
    if kind == UnmatchedKind.DUPLICATE:
        return DiscrepancyKind.DUPLICATED, f"{word} in addition to the one outcome"
    if kind == UnmatchedKind.DROPPED:
        return DiscrepancyKind.MISMATCHED, f"{word}, but the rules drop the event"
    whole = " for a whole batch" if row.item == NO_ITEM and row.role == Role.DEAD_LETTER else ""
    return DiscrepancyKind.ORPHANED, f"{word}{whole} without a raw event"
