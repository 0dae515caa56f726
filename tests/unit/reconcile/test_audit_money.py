"""The audit's money: exact sums on both sides, and every way in which money can go missing."""

from __future__ import annotations

import json
from decimal import Context, Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract import Identity
from pipeline.core.dead_letter import pointer_to
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record, Role
from pipeline.reconcile.audit import AuditOptions
from pipeline.reconcile.revenue import Money, Place, Sums, joined, plain_amount, same
from tests.forged_headers import NAMES, TIME, Forged, event

ENRICHED, LETTER = Role.ENRICHED, Role.DEAD_LETTER
DAY: Final = "2025-10-09"
"""Of `TIME`."""
_WIDE: Final = Context(prec=200)
_WITH_MONEY: Final = AuditOptions(money=True)


def _sale(revenue: Any, currency: str | None = "EUR", **fields: Any) -> bytes:
    properties = {"revenue": revenue} | ({} if currency is None else {"currency": currency})
    return event(properties=properties, **fields)


def _refused(revenue: Any, **fields: Any) -> bytes:
    """An event with money that is refused for another reason: it has no user."""
    return _sale(revenue, **fields).replace(b'"userId": "u", ', b"")


def _money(forged: Forged) -> Money:
    money = forged.audit(options=_WITH_MONEY).money
    assert money is not None
    return money


def _rows(money: Money) -> list[tuple[str, ...]]:
    return [(*row.place, *(plain_amount(amount) for amount in row[1:5])) for row in money.rows()]


def test_what_adds_up() -> None:
    """By day and currency: numbers, text, refunds, the default currency, refused events."""
    forged = Forged()
    forged.clean(
        _sale(10),
        _sale("19.99"),
        _sale(-5.5),
        _sale("$7", None),
        _sale(0.1, timestamp="2015-12-12T23:59:59.999Z"),
        event(9),
        _refused(100),
    )
    result = forged.audit(options=_WITH_MONEY)
    assert result.ok
    money = _money(forged)
    assert _rows(money) == [
        ("2015-12-12", "EUR", "0.10", "0.10", "0.00", "0.00"),
        (DAY, "EUR", "124.49", "24.49", "100.00", "0.00"),
        (DAY, "USD", "7.00", "7.00", "0.00", "0.00"),
    ]
    assert [(row.place, row.sent) for row in money.totals()] == [
        (Place("", "EUR"), Decimal("124.59")),
        (Place("", "USD"), Decimal(7)),
    ]


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (lambda f: f.of(ENRICHED).pop(), "19.99"),
        (lambda f: f.write(f.outputs(f.of_raw(0))[0]), "-19.99"),
        (lambda f: _change(f, b"19.99", b"19.9900000000000000000001"), "-0.0000000000000000000001"),
        (lambda f: _change(f, b'"revenue"', b'"Revenue"'), "19.99"),
        (lambda f: _change(f, b'"revenue"', b'"reven\\u0075e"'), "0.00"),
    ],
    ids=["lost", "doubled", "a digit", "renamed", "escaped"],
)
def test_difference(spoil: Any, difference: str) -> None:
    """Money that is lost, doubled or changed is the difference, to the last digit."""
    forged = Forged()
    forged.clean(_sale(19.99))
    spoil(forged)
    (row,) = _money(forged).rows()
    assert plain_amount(row.difference) == difference
    assert _money(forged).ok == (difference == "0.00")


def _change(forged: Forged, old: bytes, new: bytes) -> None:
    (record,) = forged.of(ENRICHED)
    forged.of(ENRICHED)[0] = record._replace(value=(record.value or b"").replace(old, new))


def test_other_currency() -> None:
    """Money that has changed its currency is missing in one and too much in the other."""
    forged = Forged()
    forged.clean(_sale(5))
    _change(forged, b"EUR", b"USD")
    assert _rows(_money(forged)) == [
        (DAY, "EUR", "5.00", "0.00", "0.00", "5.00"),
        (DAY, "USD", "0.00", "5.00", "0.00", "-5.00"),
    ]


def test_other_day() -> None:
    """So is money that has changed its day."""
    forged = Forged()
    forged.clean(_sale(5, timestamp="2015-12-12T19:11:01.266Z"))
    _change(forged, b'"timestamp":"2015-12-12', b'"timestamp":"2015-12-13')
    assert [row.difference for row in _money(forged).rows()] == [5, -5]


@pytest.mark.parametrize(
    ("value", "unreadable"),
    [
        (_sale("12,50"), 1),
        (_sale(revenue=True), 1),
        (_sale(1, "XQX"), 1),
        (b'{"revenue": ', 1),
        (b"", 0),
        (None, 0),
        (b"[1]", 0),
        (_sale(""), 0),
        (event(properties=[]), 0),
        (json.dumps({"batch": [json.loads(_sale("x")), json.loads(_sale("y"))]}).encode(), 2),
    ],
)
def test_unreadable(value: bytes | None, unreadable: int) -> None:
    """What has no readable amount is counted on both sides; what has none at all is not."""
    forged = Forged()
    forged.clean(value)
    money = _money(forged)
    assert money.ok
    assert (money.sent.unreadable, money.held.unreadable) == (unreadable, unreadable)
    forged.of(LETTER).clear()
    forged.of(ENRICHED).clear()
    assert _money(forged).ok == (unreadable == 0)


def test_kept_as_sent() -> None:
    """A wrong amount that a rule lets pass is unreadable in the enriched topic."""
    forged = Forged(rules={"revenue_invalid": "warn"})
    forged.clean(_sale("12,50"))
    money = _money(forged)
    assert money.ok
    assert (money.sent.unreadable, money.delivered.unreadable) == (1, 1)


@pytest.mark.parametrize("settings", [{}, {"limits": {"max_batch_output_bytes": 1}}])
def test_batches(settings: dict[str, Any]) -> None:
    """Each item's money, by the envelope's times; also where the whole batch is one letter."""
    sales = [json.loads(value) for value in (_sale(1), _refused(2), _sale("x"), _sale(4, None))]
    envelope = {"batch": sales, "sentAt": "2015-12-12T19:11:01.169Z"}
    forged = Forged(**settings)
    forged.clean(json.dumps(envelope).encode())
    money = _money(forged)
    assert money.ok
    assert sum(row.sent for row in money.totals()) == 7
    assert money.sent.unreadable == 1


def test_set_aside() -> None:
    """Money of a record that was set aside is held back, day and currency by the same rules."""
    forged = Forged()
    record = forged.send(_sale("5.25", None, originalTimestamp="2015-12-12T19:11:01.152Z"))
    forged.write(forged.processor().crashed(record, TIME))
    forged.committed[0] = 1
    assert _rows(_money(forged)) == [("2015-12-12", "USD", "5.25", "0.00", "5.25", "0.00")]


def test_set_aside_batch() -> None:
    """Its money is that of its items, by the times that the envelope gives them."""
    sale = json.loads(_sale(2, originalTimestamp="2015-12-12T23:00:00Z"))
    envelope = {"batch": [sale, sale], "sentAt": "2015-12-13T10:00:00Z"}
    forged = Forged()
    record = forged.send(json.dumps(envelope).encode())
    forged.write(forged.processor().crashed(record, TIME))
    forged.committed[0] = 1
    # Corrected: eleven hours before the record was received.
    assert _rows(_money(forged)) == [("2025-10-08", "EUR", "4.00", "0.00", "4.00", "0.00")]


def test_broken_enriched_event() -> None:
    """An enriched event that nobody can read has money that nobody can read."""
    forged = Forged()
    forged.clean(_sale(5))
    _change(forged, b'{"type"', b'{"type')
    money = _money(forged)
    assert (money.delivered.unreadable, money.unreadable_difference, money.ok) == (1, -1, False)


def test_pointers() -> None:
    """Money behind a pointer that names the right bytes is held back; behind another it is not."""
    forged = Forged()
    (letter,) = forged.outputs(forged.send(_refused(30)))
    pointer = forged.write(pointer_to(letter))
    forged.committed[0] = 1
    assert _rows(_money(forged)) == [(DAY, "EUR", "30.00", "0.00", "30.00", "0.00")]
    wrong = (pointer.value or b"").replace(b'"sha256": "', b'"sha256": "0')
    forged.of(LETTER)[0] = pointer._replace(value=wrong)
    assert [row.difference for row in _money(forged).rows()] == [30]


def test_letter_in_place_of_an_event() -> None:
    """Money that moved from one topic to the other is not lost: only the audit objects."""
    forged = Forged()
    record = forged.send(_sale(8))
    crashed = forged.processor().crashed(record, TIME)
    headers = [(n, b"encode" if n == DlqHeader.STAGE else v) for n, v in crashed.headers]
    forged.write(crashed._replace(headers=headers))
    forged.committed[0] = 1
    result = forged.audit(options=_WITH_MONEY)
    assert result.money is not None
    assert (result.different, result.money.ok, result.ok) == (1, True, False)


def test_other_rules() -> None:
    """Money that other rules read the same way counts; what they read otherwise is told apart."""
    forged = Forged()
    forged.process(forged.send(_sale(1)), default_currency="CHF")
    forged.process(forged.send(_sale(2, None)), default_currency="CHF")
    money = _money(forged)
    assert (money.ok, money.apart) == (True, 1)
    assert _rows(money) == [(DAY, "EUR", "1.00", "1.00", "0.00", "0.00")]


def test_dropped_and_replayed() -> None:
    """Events that a setting drops have no money here, and a replay's money is not delivered."""
    forged = Forged(on_other_type="drop")
    forged.clean(_sale(1, type="page"))
    (record,) = forged.clean(_sale(2))
    forged.process(record, Identity(app="worker", replay="r"))
    assert _rows(_money(forged)) == [(DAY, "EUR", "2.00", "2.00", "0.00", "0.00")]


def test_invented() -> None:
    """Money that nobody sent is less than nothing missing."""
    forged = Forged()
    (record,) = forged.clean(_sale(3))
    (output,) = forged.outputs(record)
    for source in (b"raw/0/77", b"?"):
        forged.write(output._replace(headers=[(TrackHeader.SOURCE, source)]))
    assert [row.difference for row in _money(forged).rows()] == [-6]


def test_deleted_by_retention() -> None:
    """Outputs that retention has deleted are in no sum."""
    forged = Forged()
    forged.clean(_sale(3), _sale(4))
    forged.of(ENRICHED).pop(0)
    forged.begins[NAMES.enriched, 0] = 1
    assert _rows(_money(forged)) == [(DAY, "EUR", "4.00", "4.00", "0.00", "0.00")]


def _redrive(forged: Forged, record: Record, value: bytes, item: int | None = None) -> None:
    """Send the event of a dead letter, repaired into this value, as the desk does it."""
    outputs = forged.outputs(record._replace(value=value))
    for number, output in enumerate(outputs):
        if output.role is ENRICHED and item in {None, number}:
            headers = [*output.headers, (TrackHeader.REDRIVE, b"r1")]
            forged.write(output._replace(headers=headers))


def _redriven(money: Money) -> list[tuple[str, ...]]:
    names = ("sent", "delivered", "held", "redriven", "repaired", "difference")
    return [
        (row.place.currency, *(plain_amount(getattr(row, name)) for name in names))
        for row in money.totals()
    ]


def test_redriven() -> None:
    """Money that was redriven is not held back any more, and the rest of it is."""
    forged = Forged()
    (record, *_) = forged.clean(_refused(100), _refused(7), _sale(5))
    _redrive(forged, record, _sale(100))
    result = forged.audit(options=_WITH_MONEY)
    assert result.ok
    assert _redriven(_money(forged)) == [
        ("EUR", "112.00", "5.00", "7.00", "100.00", "0.00", "0.00")
    ]


def test_repaired() -> None:
    """What could not be read is an amount since; what a repair has changed is said."""
    forged = Forged()
    text, user = forged.clean(_sale("1,90"), _refused(100))
    _redrive(forged, text, _sale("1.90"))
    _redrive(forged, user, _sale(80))
    money = _money(forged)
    assert money.ok
    assert _redriven(money) == [("EUR", "100.00", "0.00", "0.00", "81.90", "-18.10", "0.00")]
    assert (money.sent.unreadable, money.held.unreadable, money.replaced.unreadable) == (1, 0, 1)


def test_repair_that_loses_the_revenue() -> None:
    """An event that was redriven without its revenue is seen: nothing stands for that money."""
    forged = Forged()
    (record,) = forged.clean(_refused(100))
    _redrive(forged, record, event())
    assert _redriven(_money(forged)) == [
        ("EUR", "100.00", "0.00", "0.00", "0.00", "-100.00", "0.00")
    ]


def test_redriven_twice() -> None:
    """The second time is money that nobody sent, as it is of an event that was never refused."""
    forged = Forged()
    refused, good = forged.clean(_refused(100), _sale(7))
    for _ in range(2):
        _redrive(forged, refused, _sale(100))
    _redrive(forged, good, _sale(7))
    money = _money(forged)
    assert not money.ok
    assert [row.difference for row in money.totals()] == [-107]


def test_redriven_items() -> None:
    """Of a batch each item by itself; or all of them, where the whole batch was one letter."""
    sales = [json.loads(value) for value in (_refused(1), _refused(2), _sale(4))]
    whole = json.dumps({"batch": [json.loads(_sale(n)) for n in (1, 2, 4)]}).encode()
    forged = Forged()
    (record,) = forged.clean(json.dumps({"batch": sales}).encode())
    _redrive(forged, record, whole, item=1)
    assert _redriven(_money(forged)) == [("EUR", "7.00", "4.00", "1.00", "2.00", "0.00", "0.00")]
    forged = Forged()
    record = forged.send(whole)
    forged.write(forged.processor().crashed(record, TIME))
    forged.committed[0] = 1
    _redrive(forged, record, whole)
    assert _redriven(_money(forged)) == [("EUR", "7.00", "0.00", "0.00", "7.00", "0.00", "0.00")]


def test_redriven_and_its_letter_gone() -> None:
    """Where retention has deleted the dead letter the money is in no sum; lost ones are told."""
    forged = Forged()
    (record,) = forged.clean(_refused(3))
    _redrive(forged, record, _sale(3))
    forged.of(LETTER).clear()
    assert _redriven(_money(forged)) == [("EUR", "3.00", "0.00", "0.00", "3.00", "0.00", "0.00")]
    assert not forged.audit(options=_WITH_MONEY).ok
    forged.begins[NAMES.dead_letter, 0] = 1
    money = _money(forged)
    assert (money.ok, money.apart, _redriven(money)) == (True, 1, [])


amounts = st.decimals(min_value=-(10**29) + 1, max_value=10**29 - 1, places=20)


@given(st.lists(amounts, max_size=30))
def test_sums_are_exact(numbers: list[Decimal]) -> None:
    """Every digit of a sum is right; no context rounds it."""
    sums = Sums()
    for number in numbers:
        sums.add(f"{DAY} EUR {number}")
    scaled = sum(int(number.scaleb(20, context=_WIDE)) for number in numbers)
    found = sums.amounts.get(Place(DAY, "EUR"), Decimal())
    assert int(found.scaleb(20, context=_WIDE)) == scaled


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1", "1.00"), ("1E+3", "1000.00"), ("-0.5", "-0.50"), ("0E-30", "0.00"), ("-0", "0.00"),
     ("1.2300", "1.23"), ("123456789.123456789123", "123456789.123456789123")],
)  # fmt: skip
def test_amounts_as_text(amount: str, text: str) -> None:
    """All digits, never an exponent."""
    assert plain_amount(Decimal(amount)) == text


def test_readings() -> None:
    """Several are joined; digits that are written otherwise are the same money."""
    assert joined([None, "a EUR 1", None, "?"]) == "a EUR 1;?"
    assert joined([None]) is None
    assert same("a EUR 1.0;?", "?;a EUR 1")
    assert not same("a EUR 1", "a EUR 1;a EUR 1")
    assert not same("?", None)
