"""Revenue by day and currency: what was sent, what was delivered, what dead letters block.

Amounts are exact decimals from end to end. The number, the currency and the day of a revenue are
always read by the contract itself, even those of rejected events.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.decoded_events import merged_events
from pipeline.core.encode import encode_json
from pipeline.core.formats import ReadText
from pipeline.core.members import (
    NULL,
    Members,
    is_object,
    read_any_value,
)
from pipeline.core.money import BadAmount, is_set, read_amount
from pipeline.core.process import Processor
from pipeline.core.raw_event import ABSENT, read_reserved
from pipeline.core.reasons import Invalid, Reason
from pipeline.core.record import NO_PARTITION, Headers, Record, Role

UNREADABLE: Final = "?"
"""Stands for a revenue that can't be read, or for an event that can't be."""
_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T")
_TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_MINIMAL: Final[dict[str, Any]] = {
    "type": "track",
    "event": "-",
    "messageId": "-",
    "userId": "-",
}
_CURRENCY: Final = 3
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


class _EnrichedRevenue(msgspec.Struct, gc=False):
    """The members of an enriched event that decide on its revenue; all others are skipped."""

    properties: msgspec.Raw = ABSENT
    timestamp: msgspec.Raw = ABSENT


_read_event: Final = msgspec.json.Decoder(_EnrichedRevenue).decode


class RevenueReader:
    """Reads the revenue of outputs and writes it as text: `day currency amount`, joined by `;`.

    None stands for no revenue at all, `UNREADABLE` for an amount or an event that can't be read.
    """

    def __init__(self, processor: Processor, read: ReadText | None = None) -> None:
        """`processor` has the rules, for plain JSON; `read` reads raw records that are not."""
        self._processor = processor
        self._read = read

    def of_enriched(self, value: bytes | None) -> str | None:
        """Read the revenue that an enriched event states, as JSON."""
        # Most events have none. A key may be escaped as its sender has it.
        if value is None or (b"revenue" not in value and b"\\u" not in value):
            return None
        try:
            event = _read_event(value)
            if not event.properties or not is_object(event.properties):
                return None
            sent = read_reserved(event.properties)
            revenue = read_any_value(sent.revenue or NULL)
            if not is_set(revenue):
                return None
            amount, currency = read_amount(revenue), read_any_value(sent.currency or NULL)
            time = read_any_value(event.timestamp or NULL)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return UNREADABLE
        if type(amount) is BadAmount or not _is_code(currency):
            return UNREADABLE
        day = _DAY.match(str(time))
        return f"{day[1] if day else ''} {currency} {amount.number}"

    def of_dead_letter(
        self, value: bytes | None, timestamp: int | None, headers: Headers = ()
    ) -> str | None:
        """Read the revenue of the rejected events in a dead letter, as the contract would.

        `timestamp` is the Kafka timestamp of the raw record, epoch milliseconds. Raises
        TransportError when the schema of the record can't be looked up now.
        """
        if value is None or not value.strip():
            return None
        if self._read is not None:
            text = self._read(value, headers)
            if type(text) is Invalid:
                return UNREADABLE
            value = text
        events = merged_events(value, _TIMES)
        return join_revenue(self._of_rejected(event, timestamp) for event in events)

    def _of_rejected(self, event: Members | Invalid, timestamp: int | None) -> str | None:
        """Let the contract process an event with only the revenue and times of the rejected one."""
        if type(event) is Invalid:
            is_event = event.violations[0].code is not Reason.NOT_AN_OBJECT
            return UNREADABLE if is_event else None
        properties = event.get("properties", NULL)
        if not is_object(properties):
            return None
        sent = read_reserved(properties)
        if not sent.revenue or not is_set(read_any_value(sent.revenue)):
            return None
        stated = {"revenue": sent.revenue}
        if sent.currency:
            stated["currency"] = sent.currency
        times = {name: event[name] for name in _TIMES if name in event}
        value = encode_json({**_MINIMAL, **times, "properties": stated})
        record = Record(value, None, (), timestamp, "", NO_PARTITION, 0)
        (output,) = self._processor.process(record, 1)
        return self.of_enriched(output.value) if output.role is Role.ENRICHED else UNREADABLE


def _is_code(value: object) -> bool:
    return type(value) is str and len(value) == _CURRENCY and value.isascii() and value.isupper()


def join_revenue(revenue: Iterable[str | None]) -> str | None:
    """Join several revenues in the form of `RevenueReader`."""
    return ";".join(entry for entry in revenue if entry) or None


def without_days(revenue: str) -> str:
    """Remove the days from a revenue in the form of `RevenueReader`."""
    entries = revenue.split(";")
    return ";".join(e if e == UNREADABLE else e[e.index(" ") :] for e in entries)


def same_revenue(one: str | None, other: str | None) -> bool:
    """Whether two revenues are equal, however their digits are written."""
    return _entries(one) == _entries(other)


def _entries(revenue: str | None) -> Counter[tuple[str | Decimal, ...]]:
    found: Counter[tuple[str | Decimal, ...]] = Counter()
    for entry in revenue.split(";") if revenue else ():
        *place, amount = entry.split(" ")
        found[(*place, amount if amount == UNREADABLE else Decimal(amount))] += 1
    return found
