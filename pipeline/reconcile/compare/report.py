"""What a comparison has found: counts, fields, samples, money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pipeline.reconcile.compare.classify import DIFFERENT, Kind
from pipeline.reconcile.revenue import Place, Sums, less, plain_amount, without_days

APART: Final = {
    "ahead": "raw records that the live group has not committed yet: not compared",
    "copies": "raw records that are copies of others: compared in place of those",
    "doubled": "outputs more than one of an event that no replay or redrive has written",
    "expired": "results whose counterpart retention may have deleted: not compared",
    "foreign": "records in the compared topics that name no raw record",
    "other_rules": "outputs that were written under another contract than this one",
    "outside": "outputs of raw records outside the window",
    "without_coordinates": "lines of files that are no archived records: not compared",
    "respelled": "identical events whose JSON is spelled in another way",
}
"""What is not judged in full, or what one should know: word → meaning."""
_MOST_FIELDS: Final = 1000
_ZERO: Final = Decimal()


class Change(NamedTuple):
    """One field of one event."""

    field: str
    """JSON Pointer into the value; `key`; or `header <name>`."""
    before: str | None
    """JSON, as people may see it; None where there is nothing."""
    after: str | None


class Sample(NamedTuple):
    """One event as an example."""

    kind: Kind
    source: str
    """`topic/partition/offset[/index]`."""
    place: str
    """`topic/partition/offset` of what is there; empty when nothing is."""
    reason: str
    """Of a refusal, then or now."""
    detail: str
    """The refusal in a sentence; empty when there is none."""
    changes: list[Change]

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values."""
        changes = [change._asdict() for change in self.changes]
        return {**self._asdict(), "kind": self.kind.value, "changes": changes}


class RevenueRow(NamedTuple):
    """One kind of difference in one currency."""

    kind: str
    currency: str
    before: Decimal
    """What the enriched topic holds of these events."""
    after: Decimal
    """What it would hold."""

    @property
    def difference(self) -> Decimal:
        """What would be added, or below zero taken away."""
        return less(self.after, self.before)


@dataclass(slots=True)
class Revenue:
    """The revenue of events that differ, exact, before and after."""

    sums: dict[tuple[Kind, bool], Sums] = field(default_factory=dict)
    """By kind, and whether it is the one after."""

    def add(self, kind: Kind, cash: str | None, *, is_after: bool) -> None:
        """Add what `audit.money.Purse` has read."""
        if cash:
            self.sums.setdefault((kind, is_after), Sums()).add(without_days(cash))

    def rows(self) -> Iterator[RevenueRow]:
        """By kind and currency."""
        for kind in DIFFERENT:
            before, after = (self.sums.get((kind, is_after), Sums()) for is_after in (False, True))
            for place in sorted(before.amounts.keys() | after.amounts.keys()):
                sides = (sums.amounts.get(place, _ZERO) for sums in (before, after))
                yield RevenueRow(kind.value, place.currency, *sides)

    def totals(self) -> Iterator[RevenueRow]:
        """By currency."""
        both = Sums(), Sums()
        for row in self.rows():
            for sums, amount in zip(both, (row.before, row.after), strict=True):
                sums.count(Place("", row.currency), amount)
        before, after = both
        for place in sorted(before.amounts):
            yield RevenueRow("", place.currency, before.amounts[place], after.amounts[place])

    def unreadable(self, *, is_after: bool) -> int:
        """Revenues that can't be read."""
        return sum(sums.unreadable for (_, after), sums in self.sums.items() if after == is_after)

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values; amounts are text, so that nothing rounds them."""
        return {
            "rows": [_plain(row) for row in self.rows()],
            "totals": [_plain(row) for row in self.totals()],
            "unreadable": {
                "before": self.unreadable(is_after=False),
                "after": self.unreadable(is_after=True),
            },
        }


def _plain(row: RevenueRow) -> dict[str, str]:
    return {
        "kind": row.kind,
        "currency": row.currency,
        "before": plain_amount(row.before),
        "after": plain_amount(row.after),
        "difference": plain_amount(row.difference),
    }


@dataclass(slots=True)
class Report:
    """How results and topics compare; `same` says whether nothing differs."""

    topics: list[str] = field(default_factory=list)
    """That were compared."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind → events."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, reason code) → events, of refusals then or now."""
    fields: Counter[str] = field(default_factory=Counter)
    """Of changed events: field → events in which it differs; at most 1,000 fields."""
    more_fields: int = 0
    """Differences in fields beyond those."""
    samples: list[Sample] = field(default_factory=list)
    revenue: Revenue = field(default_factory=Revenue)
    apart: Counter[str] = field(default_factory=Counter)
    """See `APART`."""
    notes: list[str] = field(default_factory=list)
    """Sentences about the limits of this comparison."""

    @property
    def differing(self) -> int:
        """Events that are not identical."""
        return sum(self.kinds[kind.value] for kind in DIFFERENT)

    @property
    def same(self) -> bool:
        """Whether everything is identical."""
        return not self.differing

    def count_field(self, name: str) -> None:
        """Count a field that differs in one event."""
        if name in self.fields or len(self.fields) < _MOST_FIELDS:
            self.fields[name] += 1
        else:
            self.more_fields += 1

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "same": self.same,
            "topics": self.topics,
            "events": {kind.value: self.kinds[kind.value] for kind in Kind},
            "reasons": [
                {"kind": kind, "reason": reason, "events": number}
                for (kind, reason), number in self.reasons.most_common()
            ],
            "fields": dict(self.fields.most_common()),
            "more_fields": self.more_fields,
            "samples": [sample.plain() for sample in self.samples],
            "revenue": self.revenue.plain(),
            "apart": {word: number for word, number in self.apart.items() if number},
            "notes": self.notes,
        }
