"""Verdicts → counts, offences and sums of money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.record import Role
from pipeline.reconcile.audit.expect import Expected, Wanted
from pipeline.reconcile.audit.key_order import KeyOrder
from pipeline.reconcile.audit.match import CONTENTS, WORDS, Claim, Standing, Verdict
from pipeline.reconcile.audit.redriven_revenue import RedrivenOf
from pipeline.reconcile.audit.result import AuditResult, Kind, Offence
from pipeline.reconcile.output_store import Store
from pipeline.reconcile.outputs import OTHER_RULES, POINTER, SET_ASIDE, Found
from pipeline.reconcile.ranges import Plan
from pipeline.reconcile.retention import Cuts
from pipeline.reconcile.revenue import Money, joined, same

Look = Callable[[Claim], str]
"""Says in which way the claimed output is not what it must be."""
_MARKS: Final = {
    OTHER_RULES: "other_rules",
    SET_ASIDE: "set_aside",
    POINTER: "pointers",
}


class Books:
    """Enters what was judged, record by record in the order of each raw partition."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        result: AuditResult,
        cuts: Cuts,
        show: int,
    ) -> None:
        self._plan = plan
        self._store = store
        self._result = result
        self._cuts = cuts
        self._show = show
        self._order = KeyOrder(store)
        self._under_other_rules: dict[int, bool] = {}

    def enter(self, expected: Expected, verdict: Verdict, look: Look, *, in_order: bool) -> None:
        """Enter one record; `in_order` is False for copies, which come late by their nature."""
        if not expected.is_optional:
            self._count(expected)
        missing = [each for each in verdict.missing if not self._is_excused(expected, each)]
        for each in missing:
            self._accuse(Kind.LOST, _source(expected, each), "", _lost(expected, each))
        for claim in verdict.claims:
            self._enter_claim(claim, look, in_order=in_order)
        for row, standing in verdict.extras:
            self._store.set_aside([row], standing)
        if self._result.money is not None:
            excused = [each for each in verdict.missing if each not in missing]
            self._enter_money(expected, verdict, excused, in_order=in_order)
        if verdict.claims:
            last = verdict.claims[-1].row.marks
            self._under_other_rules[expected.partition] = bool(last & OTHER_RULES)

    def enter_unclaimed(self) -> None:
        """What no event has claimed in the end."""
        money = self._result.money
        for row, standing in self._store.unclaimed():
            if standing == Standing.OUTSIDE:
                continue
            if money is not None:
                money.of(row.role).add(row.cash)
            kind, detail = _unclaimed(row, standing)
            if standing == Standing.UNKNOWN and self._plan.raw_is_compacted:
                self._result.apart["compacted"] += 1
            else:
                self._accuse(kind, row.source.text(), self._place(row), detail)

    def _count(self, expected: Expected) -> None:
        result = self._result
        result.records += 1
        result.events += len(expected.events)
        result.identify += len(expected.messages)
        for wanted in expected.events:
            if wanted.role == Role.ENRICHED:
                result.enriched += 1
            elif wanted.role == Role.DEAD_LETTER:
                result.dead_letters += 1
            else:
                result.dropped += 1

    def _enter_claim(self, claim: Claim, look: Look, *, in_order: bool) -> None:
        row = claim.row
        if row.marks:
            for mark, word in _MARKS.items():
                if row.marks & mark:
                    self._result.apart[word] += 1
        if claim.fault:
            detail = claim.fault
            if detail == CONTENTS and self._result.different < self._show:
                detail = look(claim)
            self._accuse(Kind.DIFFERENT, row.source.text(), self._place(row), detail)
        if in_order and self._order.is_late(row):
            detail = "an event of the same key that was sent before it comes after it"
            self._accuse(Kind.OUT_OF_ORDER, row.source.text(), self._place(row), detail)

    def _is_excused(self, expected: Expected, wanted: Wanted) -> bool:
        """Whether the audit can't know that a missing output was lost."""
        if expected.is_optional:
            return True
        if self._cuts.may_hide(
            expected.partition, expected.offset, wanted.role, wanted.out_partition
        ):
            self._result.apart["expired"] += 1
            return True
        if wanted.of_other_type and self._under_other_rules.get(expected.partition):
            self._result.apart["perhaps_dropped"] += 1
            return True
        return False

    def _enter_money(
        self, expected: Expected, verdict: Verdict, excused: list[Wanted], *, in_order: bool
    ) -> None:
        money = self._result.money
        if money is None:
            return
        source = Source(expected.topic, expected.partition, expected.offset)
        redriven = RedrivenOf(self._store.redriven_of(source) if in_order else ())
        claimed = [claim for claim in verdict.claims if claim.row.role != Role.IDENTIFY]
        # The same bytes are the same money.
        found = {
            id(claim): claim.row.cash if verdict.is_plain else _cash(claim, expected)
            for claim in claimed
        }
        if verdict.is_plain:
            sent = joined(found.values())
        else:
            sent = joined(each.cash for each in expected.events if each not in excused)
            other = any(claim.row.marks & OTHER_RULES for claim in claimed)
            if other and not same(sent, joined(found.values())):
                money.apart += len(expected.events)
                return
        if not expected.is_optional or claimed:
            money.sent.add(sent)
        for claim in claimed:
            role, item, cash = claim.row.role, claim.row.item, found[id(claim)]
            if role != Role.DEAD_LETTER or not _was_redriven(money, item, cash, redriven):
                money.of(role).add(cash)
        _enter_missing(money, verdict.missing, excused, redriven)

    def _place(self, row: Found) -> str:
        return f"{self._plan.topics[Role(row.role)]}/{row.out_partition}/{row.out_offset}"

    def _accuse(self, kind: Kind, source: str, place: str, detail: str) -> None:
        self._result.accuse(Offence(kind, source, place, detail), self._show)


def _enter_missing(
    money: Money, missing: list[Wanted], excused: list[Wanted], redriven: RedrivenOf
) -> None:
    """What was redriven of events whose dead letters are gone, or was delivered once more."""
    for wanted in missing:
        if wanted in excused:
            money.apart += len(redriven.take(wanted.item))
        elif wanted.role is Role.DEAD_LETTER:
            _was_redriven(money, wanted.item, wanted.cash, redriven)
    for _, cash in redriven.rest:
        money.delivered.add(cash)


def _was_redriven(money: Money, item: int, cash: str | None, redriven: RedrivenOf) -> bool:
    """Whether a dead letter with this money was; then it holds nothing back any more."""
    sent_since = redriven.take(item)
    if sent_since:
        money.replaced.add(cash)
    for each in sent_since:
        money.redriven.add(each)
    return bool(sent_since)


def _cash(claim: Claim, expected: Expected) -> str | None:
    """The money in a claimed output; the right pointer has that of its raw record."""
    if not claim.row.marks & POINTER:
        return claim.row.cash
    if claim.fault:
        return None
    if claim.wanted is not None:
        return claim.wanted.cash
    return joined(each.cash for each in expected.events)


def _source(expected: Expected, wanted: Wanted) -> str:
    return Source(expected.topic, expected.partition, expected.offset, wanted.item).text()


def _lost(expected: Expected, wanted: Wanted) -> str:
    own = f"{expected.topic}/{expected.partition}/{expected.offset}"
    copy = "" if expected.read_at == own else f", read as a copy at {expected.read_at}"
    return f"there must be {WORDS[Role(wanted.role)]}{copy}"


def _unclaimed(row: Found, standing: str) -> tuple[Kind, str]:
    word = WORDS[Role(row.role)]
    if standing == Standing.DOUBLE:
        return Kind.DOUBLED, f"{word} more than the one outcome"
    if standing == Standing.DROPPED:
        return Kind.DIFFERENT, f"{word}, but the rules drop the event"
    whole = " for a whole batch" if row.item == NO_ITEM and row.role == Role.DEAD_LETTER else ""
    return Kind.INVENTED, f"{word}{whole} of no event"
