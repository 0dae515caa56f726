"""Revenue has exact sums on both sides, and shows every way in which it can be lost."""

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
from pipeline.reconcile.audit import AuditRequest
from pipeline.reconcile.revenue import DayCurrency, RevenueBalance, Sums, exact_amount
from pipeline.reconcile.revenue_reader import join_revenue, same_revenue
from tests.fake_topics import NAMES, TIME, FakeTopics, event

ENRICHED, DEAD_LETTER = Role.ENRICHED, Role.DEAD_LETTER
DAY: Final = "2025-10-09"
"""Of `TIME`."""
_WIDE: Final = Context(prec=200)
_WITH_REVENUE: Final = AuditRequest(revenue=True)


def _sale(revenue: Any, currency: str | None = "EUR", **fields: Any) -> bytes:
    properties = {"revenue": revenue} | ({} if currency is None else {"currency": currency})
    return event(properties=properties, **fields)


def _rejected(revenue: Any, **fields: Any) -> bytes:
    """Return an event with revenue that is rejected because it has no user."""
    return _sale(revenue, **fields).replace(b'"userId": "u", ', b"")


def _balance(fake: FakeTopics) -> RevenueBalance:
    balance = fake.audit(request=_WITH_REVENUE).revenue
    assert balance is not None
    return balance


def _rows(balance: RevenueBalance) -> list[tuple[str, ...]]:
    return [(*row.place, *(exact_amount(amount) for amount in row[1:5])) for row in balance.rows()]


def test_revenue_balances_by_day_and_currency() -> None:
    """Numbers, text, refunds, the default currency and rejected events all count."""
    fake = FakeTopics()
    fake.clean(
        _sale(10),
        _sale("19.99"),
        _sale(-5.5),
        _sale("$7", None),
        _sale(0.1, timestamp="2015-12-12T23:59:59.999Z"),
        event(9),
        _rejected(100),
    )
    result = fake.audit(request=_WITH_REVENUE)
    assert result.ok
    balance = _balance(fake)
    assert _rows(balance) == [
        ("2015-12-12", "EUR", "0.10", "0.10", "0.00", "0.00"),
        (DAY, "EUR", "124.49", "24.49", "100.00", "0.00"),
        (DAY, "USD", "7.00", "7.00", "0.00", "0.00"),
    ]
    assert [(row.place, row.sent) for row in balance.totals()] == [
        (DayCurrency("", "EUR"), Decimal("124.59")),
        (DayCurrency("", "USD"), Decimal(7)),
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
    ids=["missing", "duplicated", "a digit", "renamed", "escaped"],
)
def test_difference_is_exact(spoil: Any, difference: str) -> None:
    """Revenue that is missing, duplicated or changed is the difference, to the last digit."""
    fake = FakeTopics()
    fake.clean(_sale(19.99))
    spoil(fake)
    (row,) = _balance(fake).rows()
    assert exact_amount(row.difference) == difference
    assert _balance(fake).ok == (difference == "0.00")


def _change(fake: FakeTopics, old: bytes, new: bytes) -> None:
    (record,) = fake.of(ENRICHED)
    fake.of(ENRICHED)[0] = record._replace(value=(record.value or b"").replace(old, new))


def test_changed_currency_is_a_difference_in_both() -> None:
    """Revenue in the wrong currency is missing in one and surplus in the other."""
    fake = FakeTopics()
    fake.clean(_sale(5))
    _change(fake, b"EUR", b"USD")
    assert _rows(_balance(fake)) == [
        (DAY, "EUR", "5.00", "0.00", "0.00", "5.00"),
        (DAY, "USD", "0.00", "5.00", "0.00", "-5.00"),
    ]


def test_changed_day_is_a_difference_on_both() -> None:
    """Revenue on the wrong day is missing on one and surplus on the other."""
    fake = FakeTopics()
    fake.clean(_sale(5, timestamp="2015-12-12T19:11:01.266Z"))
    _change(fake, b'"timestamp":"2015-12-12', b'"timestamp":"2015-12-13')
    assert [row.difference for row in _balance(fake).rows()] == [5, -5]


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
def test_unreadable_amounts_are_counted(value: bytes | None, unreadable: int) -> None:
    """An unreadable amount counts on both sides, an absent one on neither."""
    fake = FakeTopics()
    fake.clean(value)
    balance = _balance(fake)
    assert balance.ok
    assert (balance.sent.unreadable, balance.blocked.unreadable) == (unreadable, unreadable)
    fake.of(DEAD_LETTER).clear()
    fake.of(ENRICHED).clear()
    assert _balance(fake).ok == (unreadable == 0)


def test_wrong_amount_that_passes_is_unreadable() -> None:
    """A wrong amount that a rule lets pass is unreadable in the enriched topic, too."""
    fake = FakeTopics(rules={"revenue_invalid": "warn"})
    fake.clean(_sale("12,50"))
    balance = _balance(fake)
    assert balance.ok
    assert (balance.sent.unreadable, balance.delivered.unreadable) == (1, 1)


@pytest.mark.parametrize("settings", [{}, {"limits": {"max_batch_output_bytes": 1}}])
def test_items_of_a_batch_count_one_by_one(settings: dict[str, Any]) -> None:
    """Each item counts at the times of its envelope, even when the batch is one dead letter."""
    sales = [json.loads(value) for value in (_sale(1), _rejected(2), _sale("x"), _sale(4, None))]
    envelope = {"batch": sales, "sentAt": "2015-12-12T19:11:01.169Z"}
    fake = FakeTopics(**settings)
    fake.clean(json.dumps(envelope).encode())
    balance = _balance(fake)
    assert balance.ok
    assert sum(row.sent for row in balance.totals()) == 7
    assert balance.sent.unreadable == 1


def test_set_aside_revenue_is_blocked() -> None:
    """Day and currency of a record that was set aside are read by the same rules."""
    fake = FakeTopics()
    record = fake.send(_sale("5.25", None, originalTimestamp="2015-12-12T19:11:01.152Z"))
    fake.write(fake.processor().crashed(record, TIME))
    fake.committed[0] = 1
    assert _rows(_balance(fake)) == [("2015-12-12", "USD", "5.25", "0.00", "5.25", "0.00")]


def test_set_aside_batch_blocks_the_revenue_of_its_items() -> None:
    """A batch that was set aside blocks the revenue of its items at the times of its envelope."""
    sale = json.loads(_sale(2, originalTimestamp="2015-12-12T23:00:00Z"))
    envelope = {"batch": [sale, sale], "sentAt": "2015-12-13T10:00:00Z"}
    fake = FakeTopics()
    record = fake.send(json.dumps(envelope).encode())
    fake.write(fake.processor().crashed(record, TIME))
    fake.committed[0] = 1
    # Corrected: eleven hours before the record was received.
    assert _rows(_balance(fake)) == [("2025-10-08", "EUR", "4.00", "0.00", "4.00", "0.00")]


def test_broken_enriched_event_is_unreadable() -> None:
    """An enriched event that can't be read has revenue that can't be read."""
    fake = FakeTopics()
    fake.clean(_sale(5))
    _change(fake, b'{"type"', b'{"type')
    balance = _balance(fake)
    assert (balance.delivered.unreadable, balance.unreadable_difference, balance.ok) == (
        1,
        -1,
        False,
    )


def test_correct_pointer_blocks_revenue() -> None:
    """Revenue behind a pointer is blocked only when the pointer matches its record."""
    fake = FakeTopics()
    (dead_letter,) = fake.outputs(fake.send(_rejected(30)))
    pointer = fake.write(pointer_to(dead_letter))
    fake.committed[0] = 1
    assert _rows(_balance(fake)) == [(DAY, "EUR", "30.00", "0.00", "30.00", "0.00")]
    wrong = (pointer.value or b"").replace(b'"sha256": "', b'"sha256": "0')
    fake.of(DEAD_LETTER)[0] = pointer._replace(value=wrong)
    assert [row.difference for row in _balance(fake).rows()] == [30]


@pytest.mark.parametrize("beside", [b"9" * 5000, b"1e99999999999999999999", rb'"\ud83d"'])
def test_revenue_beside_what_no_rule_reads(beside: bytes) -> None:
    """Revenue is read whatever is beside it, in enriched events and in dead letters."""
    fake = FakeTopics()
    sent = (_sale(3), _rejected(4))
    fake.clean(*(v.replace(b'"revenue"', b'"n": ' + beside + b', "revenue"') for v in sent))
    balance = _balance(fake)
    assert (balance.ok, balance.sent.unreadable) == (True, 0)
    (row,) = balance.totals()
    assert (int(row.delivered), int(row.blocked)) == (3, 4)


def test_moved_revenue_is_not_missing() -> None:
    """An event in the wrong topic is a mismatch, but its revenue is there."""
    fake = FakeTopics()
    record = fake.send(_sale(8))
    crashed = fake.processor().crashed(record, TIME)
    headers = [(n, b"encode" if n == DlqHeader.STAGE else v) for n, v in crashed.headers]
    fake.write(crashed._replace(headers=headers))
    fake.committed[0] = 1
    result = fake.audit(request=_WITH_REVENUE)
    assert result.revenue is not None
    assert (result.mismatched, result.revenue.ok, result.ok) == (1, True, False)


def test_revenue_under_other_rules_counts_if_it_is_equal() -> None:
    """Revenue that other rules read differently is in no sum."""
    fake = FakeTopics()
    fake.process(fake.send(_sale(1)), default_currency="CHF")
    fake.process(fake.send(_sale(2, None)), default_currency="CHF")
    balance = _balance(fake)
    assert (balance.ok, balance.excluded) == (True, 1)
    assert _rows(balance) == [(DAY, "EUR", "1.00", "1.00", "0.00", "0.00")]


def test_dropped_and_replayed_events_have_no_revenue() -> None:
    """Dropped events have no revenue, and that of a replay is not delivered."""
    fake = FakeTopics(on_other_type="drop")
    fake.clean(_sale(1, type="page"))
    (record,) = fake.clean(_sale(2))
    fake.process(record, Identity(app="worker", replay="r"))
    assert _rows(_balance(fake)) == [(DAY, "EUR", "2.00", "2.00", "0.00", "0.00")]


def test_forwarded_calls_have_no_revenue() -> None:
    """The revenue in a call that is no track call is neither sent nor delivered."""
    fake = FakeTopics(on_other_type="forward")
    fake.clean(_sale(1, type="page"), _sale(2))
    balance = _balance(fake)
    assert balance.ok
    assert _rows(balance) == [(DAY, "EUR", "2.00", "2.00", "0.00", "0.00")]


def test_orphaned_revenue_is_a_negative_difference() -> None:
    """Revenue that nobody sent makes the difference negative."""
    fake = FakeTopics()
    (record,) = fake.clean(_sale(3))
    (output,) = fake.outputs(record)
    for source in (b"raw/0/77", b"?"):
        fake.write(output._replace(headers=[(TrackHeader.SOURCE, source)]))
    assert [row.difference for row in _balance(fake).rows()] == [-6]


def test_expired_revenue_is_in_no_sum() -> None:
    """Revenue of outputs that retention has deleted is in no sum."""
    fake = FakeTopics()
    fake.clean(_sale(3), _sale(4))
    fake.of(ENRICHED).pop(0)
    fake.begins[NAMES.enriched, 0] = 1
    assert _rows(_balance(fake)) == [(DAY, "EUR", "4.00", "4.00", "0.00", "0.00")]


def _redrive(fake: FakeTopics, record: Record, value: bytes, item: int | None = None) -> None:
    """Redrive the event of a dead letter, repaired into this value."""
    outputs = fake.outputs(record._replace(value=value))
    for number, output in enumerate(outputs):
        if output.role is ENRICHED and item in {None, number}:
            headers = [*output.headers, (TrackHeader.REDRIVE, b"r1")]
            fake.write(output._replace(headers=headers))


def _redriven(balance: RevenueBalance) -> list[tuple[str, ...]]:
    names = ("sent", "delivered", "blocked", "redriven", "repaired", "difference")
    return [
        (row.place.currency, *(exact_amount(getattr(row, name)) for name in names))
        for row in balance.totals()
    ]


def test_redriven_revenue_is_not_blocked() -> None:
    """Revenue that was redriven is no longer blocked, and the rest is."""
    fake = FakeTopics()
    (record, *_) = fake.clean(_rejected(100), _rejected(7), _sale(5))
    _redrive(fake, record, _sale(100))
    result = fake.audit(request=_WITH_REVENUE)
    assert result.ok
    assert _redriven(_balance(fake)) == [
        ("EUR", "112.00", "5.00", "7.00", "100.00", "0.00", "0.00")
    ]


def test_repairs_are_accounted_for() -> None:
    """A repair turns unreadable revenue into an amount, and its changes are in a column."""
    fake = FakeTopics()
    text, user = fake.clean(_sale("1,90"), _rejected(100))
    _redrive(fake, text, _sale("1.90"))
    _redrive(fake, user, _sale(80))
    balance = _balance(fake)
    assert balance.ok
    assert _redriven(balance) == [("EUR", "100.00", "0.00", "0.00", "81.90", "-18.10", "0.00")]
    assert (balance.sent.unreadable, balance.blocked.unreadable, balance.replaced.unreadable) == (
        1,
        0,
        1,
    )


def test_repair_that_loses_revenue_is_seen() -> None:
    """A repair that removes the revenue is negative in the column of repairs."""
    fake = FakeTopics()
    (record,) = fake.clean(_rejected(100))
    _redrive(fake, record, event())
    assert _redriven(_balance(fake)) == [
        ("EUR", "100.00", "0.00", "0.00", "0.00", "-100.00", "0.00")
    ]


def test_second_redrive_is_surplus() -> None:
    """A second redrive, or one of an event that was never rejected, is revenue that nobody sent."""
    fake = FakeTopics()
    refused, good = fake.clean(_rejected(100), _sale(7))
    for _ in range(2):
        _redrive(fake, refused, _sale(100))
    _redrive(fake, good, _sale(7))
    balance = _balance(fake)
    assert not balance.ok
    assert [row.difference for row in balance.totals()] == [-107]


def test_items_are_redriven_one_by_one_or_all() -> None:
    """Items of a batch count one by one, or all together when the batch was one dead letter."""
    sales = [json.loads(value) for value in (_rejected(1), _rejected(2), _sale(4))]
    whole = json.dumps({"batch": [json.loads(_sale(n)) for n in (1, 2, 4)]}).encode()
    fake = FakeTopics()
    (record,) = fake.clean(json.dumps({"batch": sales}).encode())
    _redrive(fake, record, whole, item=1)
    assert _redriven(_balance(fake)) == [("EUR", "7.00", "4.00", "1.00", "2.00", "0.00", "0.00")]
    fake = FakeTopics()
    record = fake.send(whole)
    fake.write(fake.processor().crashed(record, TIME))
    fake.committed[0] = 1
    _redrive(fake, record, whole)
    assert _redriven(_balance(fake)) == [("EUR", "7.00", "0.00", "0.00", "7.00", "0.00", "0.00")]


def test_redriven_revenue_of_an_expired_dead_letter_is_in_no_sum() -> None:
    """Without its dead letter redriven revenue is in no sum, and a missing one is reported."""
    fake = FakeTopics()
    (record,) = fake.clean(_rejected(3))
    _redrive(fake, record, _sale(3))
    fake.of(DEAD_LETTER).clear()
    assert _redriven(_balance(fake)) == [("EUR", "3.00", "0.00", "0.00", "3.00", "0.00", "0.00")]
    assert not fake.audit(request=_WITH_REVENUE).ok
    fake.begins[NAMES.dead_letter, 0] = 1
    balance = _balance(fake)
    assert (balance.ok, balance.excluded, _redriven(balance)) == (True, 1, [])


amounts = st.decimals(min_value=-(10**29) + 1, max_value=10**29 - 1, places=20)


@given(st.lists(amounts, max_size=30))
def test_sums_are_exact(numbers: list[Decimal]) -> None:
    """No decimal context rounds a sum."""
    sums = Sums()
    for number in numbers:
        sums.add(f"{DAY} EUR {number}")
    scaled = sum(int(number.scaleb(20, context=_WIDE)) for number in numbers)
    found = sums.amounts.get(DayCurrency(DAY, "EUR"), Decimal())
    assert int(found.scaleb(20, context=_WIDE)) == scaled


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1", "1.00"), ("1E+3", "1000.00"), ("-0.5", "-0.50"), ("0E-30", "0.00"), ("-0", "0.00"),
     ("1.2300", "1.23"), ("123456789.123456789123", "123456789.123456789123")],
)  # fmt: skip
def test_amounts_are_written_in_full(amount: str, text: str) -> None:
    """Amounts have all digits and never an exponent."""
    assert exact_amount(Decimal(amount)) == text


def test_revenue_as_text_is_joined_and_compared() -> None:
    """Equal amounts are the same revenue, however their digits are written."""
    assert join_revenue([None, "a EUR 1", None, "?"]) == "a EUR 1;?"
    assert join_revenue([None]) is None
    assert same_revenue("a EUR 1.0;?", "?;a EUR 1")
    assert not same_revenue("a EUR 1", "a EUR 1;a EUR 1")
    assert not same_revenue("?", None)
