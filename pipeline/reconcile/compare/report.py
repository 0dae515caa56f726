"""What a comparison has found: counts, fields, samples and revenue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pipeline.reconcile.compare.classify import DIFFERENT, DifferenceKind
from pipeline.reconcile.revenue import DayCurrency, Sums, exact_amount, subtract
from pipeline.reconcile.revenue_reader import without_days

EXCLUDED: Final = {
    "ahead": "raw records that the live group has not committed yet: not compared",
    "copies": "raw records that are copies of others: compared in their place",
    "duplicated": "additional outputs of an event that no replay or redrive has written",
    "expired": "results whose counterpart retention may have deleted: not compared",
    "foreign": "records in the compared topics that name no raw record",
    "other_rules": "outputs that were written under a different contract",
    "outside": "outputs of raw records outside the window",
    "without_coordinates": "lines of files that are not archived records: not compared",
    "respelled": "identical events whose JSON is written differently",
}
"""Word for what is not fully compared, or needs an explanation → its meaning."""
_MOST_FIELDS: Final = 1000
_ZERO: Final = Decimal()


class FieldChange(NamedTuple):
    """How one field of one event differs."""

    field: str
    """JSON Pointer into the value, `key`, or `header <name>`."""
    before: str | None
    """Value as JSON, masked unless personal data is revealed; None when the field is absent."""
    after: str | None


class DiffSample(NamedTuple):
    """One event that differs, as an example."""

    kind: DifferenceKind
    source: str
    """`topic/partition/offset[/index]` of the raw event."""
    output: str
    """`topic/partition/offset` of the existing output; empty when there is none."""
    reason: str
    """Code of the first violation, before or now."""
    detail: str
    """First violation as a sentence; empty when there is none."""
    changes: list[FieldChange]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        changes = [change._asdict() for change in self.changes]
        return {**self._asdict(), "kind": self.kind.value, "changes": changes}


class RevenueChangeRow(NamedTuple):
    """Revenue of one kind of difference in one currency."""

    kind: str
    currency: str
    before: Decimal
    """Revenue of these events in the enriched topic."""
    after: Decimal
    """Revenue of these events under the new rules."""

    @property
    def difference(self) -> Decimal:
        """Revenue that the new rules would add; below zero, remove."""
        return subtract(self.after, self.before)


@dataclass(slots=True)
class RevenueChange:
    """Exact revenue of the events that differ, before and after."""

    sums: dict[tuple[DifferenceKind, bool], Sums] = field(default_factory=dict)
    """Sums by kind, and whether they are those after the change."""

    def add(self, kind: DifferenceKind, revenue: str | None, *, is_after: bool) -> None:
        """Add revenue as `RevenueReader` writes it."""
        if revenue:
            self.sums.setdefault((kind, is_after), Sums()).add(without_days(revenue))

    def rows(self) -> Iterator[RevenueChangeRow]:
        """Yield the revenue by kind and currency."""
        for kind in DIFFERENT:
            before, after = (self.sums.get((kind, is_after), Sums()) for is_after in (False, True))
            for place in sorted(before.amounts.keys() | after.amounts.keys()):
                sides = (sums.amounts.get(place, _ZERO) for sums in (before, after))
                yield RevenueChangeRow(kind.value, place.currency, *sides)

    def totals(self) -> Iterator[RevenueChangeRow]:
        """Yield the revenue by currency."""
        both = Sums(), Sums()
        for row in self.rows():
            for sums, amount in zip(both, (row.before, row.after), strict=True):
                sums.count(DayCurrency("", row.currency), amount)
        before, after = both
        for place in sorted(before.amounts):
            yield RevenueChangeRow("", place.currency, before.amounts[place], after.amounts[place])

    def unreadable(self, *, is_after: bool) -> int:
        """Return the number of revenues that can't be read."""
        return sum(sums.unreadable for (_, after), sums in self.sums.items() if after == is_after)

    def to_dict(self) -> dict[str, Any]:
        """Return the revenue as JSON values; amounts are text, so nothing rounds them."""
        return {
            "rows": [_row_dict(row) for row in self.rows()],
            "totals": [_row_dict(row) for row in self.totals()],
            "unreadable": {
                "before": self.unreadable(is_after=False),
                "after": self.unreadable(is_after=True),
            },
        }


def _row_dict(row: RevenueChangeRow) -> dict[str, str]:
    return {
        "kind": row.kind,
        "currency": row.currency,
        "before": exact_amount(row.before),
        "after": exact_amount(row.after),
        "difference": exact_amount(row.difference),
    }


@dataclass(slots=True)
class ComparisonReport:
    """How results and existing outputs compare; `same` says whether nothing differs."""

    topics: list[str] = field(default_factory=list)
    """Topics that were compared."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind → number of events."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, reason code) → number of events that were rejected, before or now."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field → number of changed events in which it differs; at most 1,000 fields."""
    more_fields: int = 0
    """Number of differences in fields beyond those."""
    samples: list[DiffSample] = field(default_factory=list)
    revenue: RevenueChange = field(default_factory=RevenueChange)
    excluded: Counter[str] = field(default_factory=Counter)
    """What was not fully compared, by the words of `EXCLUDED`."""
    notes: list[str] = field(default_factory=list)
    """Sentences about the limits of this comparison."""

    @property
    def differing(self) -> int:
        """Number of events that are not identical."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "same": self.same,
            "topics": self.topics,
            "events": {kind.value: self.kinds[kind.value] for kind in DifferenceKind},
            "reasons": [
                {"kind": kind, "reason": reason, "events": number}
                for (kind, reason), number in self.reasons.most_common()
            ],
            "fields": dict(self.fields.most_common()),
            "more_fields": self.more_fields,
            "samples": [sample.to_dict() for sample in self.samples],
            "revenue": self.revenue.to_dict(),
            "excluded": {word: number for word, number in self.excluded.items() if number},
            "notes": self.notes,
        }
