"""Revenue by day and currency: what was sent, what was delivered, what dead letters block.

Amounts are exact decimals from end to end, as `revenue_reader` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import Any, Final, NamedTuple

from pipeline.core.record import Role
from pipeline.reconcile.revenue_reader import UNREADABLE

# Sums of 10^12 amounts with 30 digits before the decimal point and 100 after it are exact; a sum
# that does not fit raises instead of being rounded.
_EXACT: Final = Context(prec=150, traps=[Inexact])
_ZERO: Final = Decimal()


class DayCurrency(NamedTuple):
    """Day and currency under which an amount is added up."""

    day: str
    """Date of the enriched event's `timestamp`, `YYYY-MM-DD` in UTC; empty when it has none."""
    currency: str


@dataclass(slots=True)
class Sums:
    """Exact sums of many amounts."""

    amounts: dict[DayCurrency, Decimal] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, revenue: str | None) -> None:
        """Add revenue as `RevenueReader` writes it; None is no revenue."""
        for entry in revenue.split(";") if revenue else ():
            if entry == UNREADABLE:
                self.unreadable += 1
                continue
            day, currency, amount = entry.split(" ")
            self.count(DayCurrency(day, currency), Decimal(amount))

    def count(self, place: DayCurrency, amount: Decimal) -> None:
        """Add one amount."""
        self.amounts[place] = _EXACT.add(self.amounts.get(place, _ZERO), amount)


class BalanceRow(NamedTuple):
    """Balance of one day and currency."""

    place: DayCurrency
    sent: Decimal
    delivered: Decimal
    blocked: Decimal
    difference: Decimal
    """sent - delivered - blocked - replaced: missing revenue, or below zero, revenue that nobody
    sent."""
    redriven: Decimal
    """Revenue in the enriched topic that redrives have written."""
    replaced: Decimal
    """Revenue in the dead letters of the redriven events, which no longer block it."""

    @property
    def repaired(self) -> Decimal:
        """Revenue that repairs have added before events were redriven; below zero, have removed."""
        return subtract(self.redriven, self.replaced)


@dataclass(slots=True)
class RevenueBalance:
    """Balance of the revenue of a window: sent = delivered + blocked + replaced."""

    sent: Sums = field(default_factory=Sums)
    """Revenue in the raw topic, as the contract reads it."""
    delivered: Sums = field(default_factory=Sums)
    """Revenue in the enriched topic, read from the existing events."""
    blocked: Sums = field(default_factory=Sums)
    """Revenue in the dead-letter topic, as the contract would read it, less what was redriven."""
    redriven: Sums = field(default_factory=Sums)
    """Revenue of redriven events in the enriched topic, read from the existing events."""
    replaced: Sums = field(default_factory=Sums)
    """Revenue in the dead letters of the redriven events; repairs account for the difference."""
    excluded: int = 0
    """Number of events that are in no sum, because other rules read their revenue differently."""

    def sums(self, role: str) -> Sums:
        """Return the sums of an output topic."""
        return self.delivered if role == Role.ENRICHED else self.blocked

    def rows(self) -> Iterator[BalanceRow]:
        """Yield the balance by day and currency."""
        columns = [sums.amounts for sums in self._columns]
        for place in sorted({place for column in columns for place in column}):
            yield _row(place, *(column.get(place, _ZERO) for column in columns))

    @property
    def _columns(self) -> tuple[Sums, ...]:
        return self.sent, self.delivered, self.blocked, self.redriven, self.replaced

    def totals(self) -> Iterator[BalanceRow]:
        """Yield the balance by currency, over all days."""
        sent, delivered, blocked, redriven, replaced = map(_without_days, self._columns)
        return RevenueBalance(sent, delivered, blocked, redriven, replaced).rows()

    @property
    def unreadable_difference(self) -> int:
        """Number of unreadable revenues that were sent, less those in both output topics."""
        found = self.delivered.unreadable + self.blocked.unreadable + self.replaced.unreadable
        return self.sent.unreadable - found

    @property
    def ok(self) -> bool:
        """Whether the revenue balances to the last digit, on each day and in each currency."""
        return not self.unreadable_difference and not any(row.difference for row in self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Return the balance as JSON values; amounts are text, so nothing rounds them."""
        return {
            "ok": self.ok,
            "rows": [_row_dict(row) for row in self.rows()],
            "totals": [_row_dict(row) for row in self.totals()],
            "unreadable": {
                "sent": self.sent.unreadable,
                "delivered": self.delivered.unreadable,
                "blocked": self.blocked.unreadable,
                "redriven": self.redriven.unreadable,
                "replaced": self.replaced.unreadable,
                "difference": self.unreadable_difference,
            },
            "not_compared_events": self.excluded,
        }


def _row(place: DayCurrency, *amounts: Decimal) -> BalanceRow:
    sent, delivered, blocked, redriven, replaced = amounts
    found = _EXACT.add(_EXACT.add(delivered, blocked), replaced)
    return BalanceRow(place, sent, delivered, blocked, subtract(sent, found), redriven, replaced)


def _without_days(sums: Sums) -> Sums:
    found = Sums(unreadable=sums.unreadable)
    for place, amount in sums.amounts.items():
        found.count(DayCurrency("", place.currency), amount)
    return found


def subtract(amount: Decimal, other: Decimal) -> Decimal:
    """Subtract exactly; Python's default context may round."""
    return _EXACT.subtract(amount, other)


def _row_dict(row: BalanceRow) -> dict[str, str]:
    return {
        "day": row.place.day,
        "currency": row.place.currency,
        "sent": exact_amount(row.sent),
        "delivered": exact_amount(row.delivered),
        "blocked": exact_amount(row.blocked),
        "redriven": exact_amount(row.redriven),
        "repaired": exact_amount(row.repaired),
        "difference": exact_amount(row.difference),
    }


def exact_amount(amount: Decimal) -> str:
    """Write all digits: no exponent, at least two decimals, no trailing zeros after these."""
    whole, _, places = f"{amount:f}".partition(".")
    text = f"{whole}.{places.rstrip('0').ljust(2, '0')}"
    return text.removeprefix("-") if not amount else text
