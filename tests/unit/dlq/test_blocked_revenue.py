"""Blocked revenue: sums of the revenue in dead letters."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import islice
from typing import Any

from pipeline.core.contract import ContractSettings
from pipeline.core.dead_letter import pointer_to
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.demo.generate import Generator
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.reconcile.revenue import Sums
from pipeline.reconcile.revenue_reader import RevenueReader
from tests.hostile import HOSTILE
from tests.unit.dlq.dead_letters import (
    IDENTITY,
    NOW,
    SETTINGS,
    crashed,
    dead_letter_of,
    dead_letters_of,
    event,
    raw,
)


def _held(*dead_letters: DeadLetter, settings: ContractSettings = SETTINGS) -> dict[str, Any]:
    revenue = BlockedRevenue(settings)
    for dead_letter in dead_letters:
        revenue.add(dead_letter)
    return revenue.to_dict()


def test_revenue_is_exact() -> None:
    """Sums keep every digit, by currency; an absent currency is the default one."""
    values = ["0.1", "0.2", "1e20", "0.000000000000000000001"]
    dead_letters = [dead_letter_of({"event": "A", "properties": {"revenue": v}}) for v in values]
    euros = {"event": "A", "properties": {"revenue": -7, "currency": " eur "}}
    assert _held(*dead_letters, dead_letter_of(euros)) == {
        "blocked": {"EUR": "-7.00", "USD": "100000000000000000000.300000000000000000001"},
        "unreadable": 0,
        "dead_letters": 5,
    }


def test_unreadable_revenue_is_counted() -> None:
    """Bad amounts, bad currencies and unreadable values are counted."""
    (pointed,) = Processor(SETTINGS, IDENTITY).process(raw({"event": "A"}), NOW)
    pointer = pointer_to(pointed)
    dead_letters = [
        dead_letter_of(event(properties={"revenue": "1.234,56"})),
        dead_letter_of(event(properties={"revenue": 5, "currency": "euro"})),
        dead_letter_of(b'{"event":"A","properties":{"revenue":5'),
        crashed(event()),
        read_dead_letter(Record(pointer.value, None, pointer.headers, NOW, "dead", 0, 0)),
    ]
    assert _held(*dead_letters) == {"blocked": {}, "unreadable": 5, "dead_letters": 5}
    nothing = [
        dead_letter_of(b""),
        dead_letter_of({"event": "A"}),
        dead_letter_of(b"[]"),
        dead_letter_of(b" "),
    ]
    assert _held(*nothing) == {"blocked": {}, "unreadable": 0, "dead_letters": 0}


def test_revenue_is_what_the_audit_reads() -> None:
    """The fast path gives the sums of the contract, for everything that can be wrong."""
    values = [row.value for row in HOSTILE if row.value is not None]
    values += [each.value for each in islice(Generator(3, invalid_share=1), 600) if each.value]
    amounts: list[Any] = [None, "", " ", 1, "$2", "x", True, [], 10**30]
    currencies: list[Any] = [None, "", "EUR", "eur", "XQQ", 5]
    values += [
        json.dumps(
            {"event": "A", "properties": {"revenue": revenue, "currency": currency}}
        ).encode()
        for revenue in amounts
        for currency in currencies
    ]
    values += [b'{"properties":{"r\\u0065venue":3}}', b'\xef\xbb\xbf{"properties":{"revenue":3}}']
    items: list[Any] = [event(userId=None), 5, {"properties": {"revenue": "x"}}]
    batches: list[Any] = [
        {"batch": items},
        {"event": "A", "batch": items, "properties": {"revenue": 1}},
    ]
    batches += [{"event": None, "batch": items * 2}, {"batch": None, "properties": {"revenue": 2}}]
    values += [json.dumps(each).encode() for each in batches]
    reader, expected, revenue = (
        RevenueReader(Processor(SETTINGS, IDENTITY)),
        Sums(),
        BlockedRevenue(SETTINGS),
    )
    for value in values:
        for dead_letter in dead_letters_of(raw(value)):
            revenue.add(dead_letter)
            expected.add(reader.of_dead_letter(dead_letter.value, dead_letter.source_timestamp))
    sums: dict[str, Decimal] = {}
    for place, amount in expected.amounts.items():
        sums[place.currency] = sums.get(place.currency, Decimal()) + amount
    assert len(sums) > 5
    assert {c: Decimal(text) for c, text in revenue.amounts().items()} == sums
    assert revenue.unreadable == expected.unreadable > 100
