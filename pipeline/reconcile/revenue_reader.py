"""Reads the revenue of outputs, and writes it as text.

The number, the currency and the day of a revenue are always read by the contract itself, even those
of rejected events.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from pipeline.core.decoded_events import merged_events
from pipeline.core.encode import encode_json
from pipeline.core.event_times import TIMES
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
_MINIMAL: Final[dict[str, Any]] = {
    "type": "track",
    "event": "-",
    "messageId": "-",
    "userId": "-",
}
_CURRENCY: Final = 3


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
        events = merged_events(value, TIMES)
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
        times = {name: event[name] for name in TIMES if name in event}
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
