"""Adds up the revenue of matched records: sent, delivered, blocked, redriven and replaced."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.record import Role
from pipeline.reconcile.audit.expect import ExpectedOutput, ExpectedRecord
from pipeline.reconcile.audit.match import Match, MatchResult
from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.outputs import OTHER_RULES, POINTER
from pipeline.reconcile.revenue import RevenueBalance
from pipeline.reconcile.revenue_reader import join_revenue, same_revenue


class RedrivenRevenue:
    """Revenue of the enriched events that redrives have written for one raw record.

    Each revenue is text, as `RevenueReader` writes it.
    """

    def __init__(self, rows: Iterable[tuple[int, str | None]]) -> None:
        """Take (index in a batch or NO_ITEM, revenue) of each event."""
        self.rest = list(rows)
        """Events that were not taken: their dead letter is gone, or they were redriven twice."""

    def take(self, item: int) -> list[str | None]:
        """Remove and return what was written in place of the dead letter of an item.

        The dead letter of a whole batch may have been replaced by an event for each item.
        """
        taken: dict[int, str | None] = {}
        rest = []
        for row_item, revenue in self.rest:
            if item in {row_item, NO_ITEM} and row_item not in taken:
                taken[row_item] = revenue
            else:
                rest.append((row_item, revenue))
        self.rest = rest
        return list(taken.values())


class RevenueRecorder:
    """Adds the revenue of one record after the other to a balance."""

    def __init__(self, balance: RevenueBalance, store: OutputStore) -> None:
        self._balance = balance
        self._store = store

    def record(
        self,
        expected: ExpectedRecord,
        result: MatchResult,
        excused: list[ExpectedOutput],
        *,
        in_order: bool,
    ) -> None:
        """Add one record; `excused` are the missing outputs that don't count as missing.

        `in_order` is False for copies: what was redriven counts for their origin.
        """
        balance = self._balance
        source = Source(expected.topic, expected.partition, expected.offset)
        redriven = RedrivenRevenue(self._store.redriven_of(source) if in_order else ())
        outcomes = [match for match in result.matches if match.row.role != Role.IDENTIFY]
        # Equal bytes hold equal revenue, so a plain match need not be decoded again.
        found = {
            id(match): match.row.revenue if result.is_plain else _revenue(match, expected)
            for match in outcomes
        }
        if result.is_plain:
            sent = join_revenue(found.values())
        else:
            sent = join_revenue(each.revenue for each in expected.events if each not in excused)
            other = any(match.row.marks & OTHER_RULES for match in outcomes)
            if other and not same_revenue(sent, join_revenue(found.values())):
                balance.excluded += len(expected.events)
                return
        if not expected.is_optional or outcomes:
            balance.sent.add(sent)
        for match in outcomes:
            role, item, revenue = match.row.role, match.row.item, found[id(match)]
            if role != Role.DEAD_LETTER or not self._was_redriven(item, revenue, redriven):
                balance.sums(role).add(revenue)
        self._record_missing(result.missing, excused, redriven)

    def _record_missing(
        self,
        missing: list[ExpectedOutput],
        excused: list[ExpectedOutput],
        redriven: RedrivenRevenue,
    ) -> None:
        """Add what was redriven of events without a dead letter, or redriven more than once."""
        for each in missing:
            if each in excused:
                self._balance.excluded += len(redriven.take(each.item))
            elif each.role is Role.DEAD_LETTER:
                self._was_redriven(each.item, each.revenue, redriven)
        for _, revenue in redriven.rest:
            self._balance.delivered.add(revenue)

    def _was_redriven(self, item: int, revenue: str | None, redriven: RedrivenRevenue) -> bool:
        """Whether a dead letter was redriven; then its revenue is replaced instead of blocked."""
        written = redriven.take(item)
        if written:
            self._balance.replaced.add(revenue)
        for each in written:
            self._balance.redriven.add(each)
        return bool(written)


def _revenue(match: Match, expected: ExpectedRecord) -> str | None:
    """Return the revenue in a matched output; a correct pointer has that of its raw record."""
    if not match.row.marks & POINTER:
        return match.row.revenue
    if match.fault:
        return None
    if match.expected is not None:
        return match.expected.revenue
    return join_revenue(each.revenue for each in expected.events)
