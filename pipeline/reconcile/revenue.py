"""Revenue by day and currency: what was sent, what was delivered, what dead letters hold back.

Amounts are exact decimals from end to end. What the contract makes of a revenue (its number, its
currency, the day of its event) is asked of the contract itself, also for refused events.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import Any, Final, NamedTuple

from pipeline.core.batch import merge
from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.json_value import JsonValue
from pipeline.core.money import BadAmount, is_set, read_amount
from pipeline.core.process import Processor
from pipeline.core.reasons import Invalid
from pipeline.core.record import NO_PARTITION, Record, Role

UNREADABLE: Final = "?"
"""Stands for a revenue that is there and can't be read, or an event that can't be."""
_DEEPEST: Final = 512
_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T")
_TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_CURRENCY: Final = 3
# Sums of a million million amounts of 30 digits before the point and 100 behind it are exact;
# should one ever not be, it raises instead of rounding.
_EXACT: Final = Context(prec=150, traps=[Inexact])
_ZERO: Final = Decimal()


class Place(NamedTuple):
    """Where an amount belongs."""

    day: str
    """`YYYY-MM-DD`, UTC, of the enriched event's `timestamp`; empty when it has none."""
    currency: str


@dataclass(slots=True)
class Sums:
    """Exact sums of many amounts."""

    amounts: dict[Place, Decimal] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, cash: str | None) -> None:
        """Add what `Purse` has read; None is no money."""
        for entry in cash.split(";") if cash else ():
            if entry == UNREADABLE:
                self.unreadable += 1
                continue
            day, currency, amount = entry.split(" ")
            self.count(Place(day, currency), Decimal(amount))

    def count(self, place: Place, amount: Decimal) -> None:
        """Add one amount."""
        self.amounts[place] = _EXACT.add(self.amounts.get(place, _ZERO), amount)


class Row(NamedTuple):
    """One day and currency of the table."""

    place: Place
    sent: Decimal
    delivered: Decimal
    held: Decimal
    difference: Decimal
    """sent - delivered - held - replaced: money that is missing, or below zero money that nobody
    sent."""
    redriven: Decimal
    """In the enriched topic, sent there by redrives."""
    replaced: Decimal
    """What the dead letters of the redriven events hold: no longer held back."""

    @property
    def repaired(self) -> Decimal:
        """What repairs have added before events were redriven, or taken away."""
        return less(self.redriven, self.replaced)


@dataclass(slots=True)
class Money:
    """Where the money of a window is."""

    sent: Sums = field(default_factory=Sums)
    """In the raw topic, as the contract reads it."""
    delivered: Sums = field(default_factory=Sums)
    """In the enriched topic, read from what is really there."""
    held: Sums = field(default_factory=Sums)
    """In the dead-letter topic, as the contract would read it; less what was redriven."""
    redriven: Sums = field(default_factory=Sums)
    """In the enriched topic, of events that were redriven; read from what is really there."""
    replaced: Sums = field(default_factory=Sums)
    """In the dead letters of these events. Where it is not the same, a repair has changed it."""
    apart: int = 0
    """Events that are in no sum: other rules read their money in another way."""

    def of(self, role: str) -> Sums:
        """The sums of an output topic."""
        return self.delivered if role == Role.ENRICHED else self.held

    def rows(self) -> Iterator[Row]:
        """By day and currency."""
        columns = [sums.amounts for sums in self._columns]
        for place in sorted({place for column in columns for place in column}):
            yield _row(place, *(column.get(place, _ZERO) for column in columns))

    @property
    def _columns(self) -> tuple[Sums, ...]:
        return self.sent, self.delivered, self.held, self.redriven, self.replaced

    def totals(self) -> Iterator[Row]:
        """By currency, over all days."""
        sent, delivered, held, redriven, replaced = map(_without_days, self._columns)
        return Money(sent, delivered, held, redriven, replaced).rows()

    @property
    def unreadable_difference(self) -> int:
        """Unreadable revenues that were sent, less those in both output topics."""
        found = self.delivered.unreadable + self.held.unreadable + self.replaced.unreadable
        return self.sent.unreadable - found

    @property
    def ok(self) -> bool:
        """Whether sent = delivered + held back + replaced, to the last digit, everywhere."""
        return not self.unreadable_difference and not any(row.difference for row in self.rows())

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values; amounts are text, so that nothing rounds them."""
        return {
            "ok": self.ok,
            "rows": [_plain(row) for row in self.rows()],
            "totals": [_plain(row) for row in self.totals()],
            "unreadable": {
                "sent": self.sent.unreadable,
                "delivered": self.delivered.unreadable,
                "held_back": self.held.unreadable,
                "redriven": self.redriven.unreadable,
                "replaced": self.replaced.unreadable,
                "difference": self.unreadable_difference,
            },
            "not_compared_events": self.apart,
        }


def _row(place: Place, *amounts: Decimal) -> Row:
    sent, delivered, held, redriven, replaced = amounts
    found = _EXACT.add(_EXACT.add(delivered, held), replaced)
    return Row(place, sent, delivered, held, less(sent, found), redriven, replaced)


def _without_days(sums: Sums) -> Sums:
    found = Sums(unreadable=sums.unreadable)
    for place, amount in sums.amounts.items():
        found.count(Place("", place.currency), amount)
    return found


def less(amount: Decimal, other: Decimal) -> Decimal:
    """The exact difference, which Python's own context may round."""
    return _EXACT.subtract(amount, other)


def _plain(row: Row) -> dict[str, str]:
    return {
        "day": row.place.day,
        "currency": row.place.currency,
        "sent": plain_amount(row.sent),
        "delivered": plain_amount(row.delivered),
        "held_back": plain_amount(row.held),
        "redriven": plain_amount(row.redriven),
        "repaired": plain_amount(row.repaired),
        "difference": plain_amount(row.difference),
    }


def plain_amount(amount: Decimal) -> str:
    """All digits, no exponent, no zeros behind the last digit but two places at least."""
    whole, _, places = f"{amount:f}".partition(".")
    text = f"{whole}.{places.rstrip('0').ljust(2, '0')}"
    return text.removeprefix("-") if not amount else text


class Purse:
    """Reads the money of outputs, as text: `day currency amount`, several joined by `;`.

    None stands for no money at all; `UNREADABLE` for one amount, or one event, nobody can read.
    """

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def of_enriched(self, value: bytes | None) -> str | None:
        """The revenue that an enriched event states."""
        # Most events have none. Our keys are written plainly; others may escape their letters.
        if value is None or (b"revenue" not in value and b"\\u" not in value):
            return None
        event = decode(value, _DEEPEST)
        if type(event) is not dict:
            return UNREADABLE
        properties = event.get("properties")
        if type(properties) is not dict or not is_set(properties.get("revenue")):
            return None
        amount, currency = read_amount(properties["revenue"]), properties.get("currency")
        if type(amount) is BadAmount or not _is_code(currency):
            return UNREADABLE
        day = _DAY.match(str(event.get("timestamp")))
        return f"{day[1] if day else ''} {currency} {amount.number}"

    def of_letter(self, value: bytes | None, timestamp: int | None) -> str | None:
        """The revenue of the refused events that a letter holds, as the contract would read it.

        `timestamp` is Kafka's of the raw record, epoch milliseconds.
        """
        if not (value or b"").strip():
            return None
        decoded = decode(value, _DEEPEST)
        if type(decoded) is Invalid:
            return UNREADABLE
        return joined(self._of_refused(event, timestamp) for event in _events(decoded))

    def _of_refused(self, event: JsonValue, timestamp: int | None) -> str | None:
        """Ask the contract about an event that has only the refused one's money and times."""
        properties = event.get("properties") if type(event) is dict else None
        if type(properties) is not dict or not is_set(properties.get("revenue")):
            return None
        stated = {name: properties[name] for name in ("revenue", "currency") if name in properties}
        times = {name: event[name] for name in _TIMES if name in event}
        alone = {"type": "track", "event": "-", "messageId": "-", "userId": "-", **times}
        value = encode_json({**alone, "properties": stated})
        record = Record(value, None, (), timestamp, "", NO_PARTITION, 0)
        (output,) = self._processor.process(record, 1)
        return self.of_enriched(output.value) if output.role is Role.ENRICHED else UNREADABLE


def _is_code(value: JsonValue) -> bool:
    return type(value) is str and len(value) == _CURRENCY and value.isascii() and value.isupper()


def _events(decoded: JsonValue) -> list[JsonValue]:
    """The event, or those of a batch envelope with what it gives them."""
    if (
        type(decoded) is dict
        and decoded.get("event") is None
        and type(decoded.get("batch")) is list
    ):
        return [merge(item, decoded) for item in decoded["batch"]]
    return [decoded]


def joined(cash: Iterable[str | None]) -> str | None:
    """Several readings as one."""
    return ";".join(entry for entry in cash if entry) or None


def without_days(cash: str) -> str:
    """A reading whose amounts have no day."""
    entries = cash.split(";")
    return ";".join(e if e == UNREADABLE else e[e.index(" ") :] for e in entries)


def same(one: str | None, other: str | None) -> bool:
    """Whether two readings are the same money, however its digits are written."""
    return _entries(one) == _entries(other)


def _entries(cash: str | None) -> Counter[tuple[str | Decimal, ...]]:
    found: Counter[tuple[str | Decimal, ...]] = Counter()
    for entry in cash.split(";") if cash else ():
        *place, amount = entry.split(" ")
        found[(*place, amount if amount == UNREADABLE else Decimal(amount))] += 1
    return found
