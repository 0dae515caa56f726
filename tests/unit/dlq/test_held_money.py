"""The money that letters hold back."""

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
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_letter
from pipeline.reconcile.revenue import RevenueReader, Sums
from tests.hostile import HOSTILE
from tests.unit.dlq.letters import (
    IDENTITY,
    NOW,
    SETTINGS,
    crashed,
    event,
    letter_of,
    letters_of,
    raw,
)


def _held(*letters: DeadLetter, settings: ContractSettings = SETTINGS) -> dict[str, Any]:
    money = HeldMoney(settings)
    for letter in letters:
        money.add(letter)
    return money.plain()


def test_money_is_exact() -> None:
    """Sums keep every digit, by currency; no currency is the default one."""
    values = ["0.1", "0.2", "1e20", "0.000000000000000000001"]
    letters = [letter_of({"event": "A", "properties": {"revenue": v}}) for v in values]
    euros = {"event": "A", "properties": {"revenue": -7, "currency": " eur "}}
    assert _held(*letters, letter_of(euros)) == {
        "held_back": {"EUR": "-7.00", "USD": "100000000000000000000.300000000000000000001"},
        "unreadable": 0,
        "letters": 5,
    }


def test_money_that_cannot_be_read() -> None:
    """Bad amounts, bad currencies, and values nobody can read are counted."""
    (pointed,) = Processor(SETTINGS, IDENTITY).process(raw({"event": "A"}), NOW)
    pointer = pointer_to(pointed)
    letters = [
        letter_of(event(properties={"revenue": "1.234,56"})),
        letter_of(event(properties={"revenue": 5, "currency": "euro"})),
        letter_of(b'{"event":"A","properties":{"revenue":5'),
        crashed(event()),
        read_letter(Record(pointer.value, None, pointer.headers, NOW, "dead", 0, 0)),
    ]
    assert _held(*letters) == {"held_back": {}, "unreadable": 5, "letters": 5}
    nothing = [letter_of(b""), letter_of({"event": "A"}), letter_of(b"[]"), letter_of(b" ")]
    assert _held(*nothing) == {"held_back": {}, "unreadable": 0, "letters": 0}


def test_money_is_what_the_audit_reads() -> None:
    """The fast way gives what the contract gives, for everything that can be wrong."""
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
    purse, expected, money = (
        RevenueReader(Processor(SETTINGS, IDENTITY)),
        Sums(),
        HeldMoney(SETTINGS),
    )
    for value in values:
        for letter in letters_of(raw(value)):
            money.add(letter)
            expected.add(purse.of_dead_letter(letter.value, letter.source_timestamp))
    sums: dict[str, Decimal] = {}
    for place, amount in expected.amounts.items():
        sums[place.currency] = sums.get(place.currency, Decimal()) + amount
    assert len(sums) > 5
    assert {c: Decimal(text) for c, text in money.amounts().items()} == sums
    assert money.unreadable == expected.unreadable > 100


def test_money_in_a_sentence() -> None:
    """As people read it."""
    money = HeldMoney(SETTINGS)
    assert money.sentence() == ""
    money.add(letter_of({"event": "A", "properties": {"revenue": 1234.5}}))
    money.add(letter_of({"event": "A", "properties": {"revenue": "x"}}))
    assert money.sentence() == "revenue held back: 1,234.50 USD and 1 that can't be read"
