"""Generated events are the same everywhere, look real, and become what they say they become."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise
from typing import Any, Final

import msgspec
import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason
from pipeline.core.record import Record
from pipeline.core.timestamps import DAY, read_time
from pipeline.demo.generate import (
    EVENT_NAMES,
    NOT_IN_LINES,
    START,
    STRICT_SETTINGS,
    Generated,
    Generator,
)
from tests.support import IDENTITY, JsonObject, outcomes

DIGEST: Final = "784b68b5b9cb5c1806a51cb41865134000ca6bd61bbee473d9284f8146de4e2b"
"""Of 3,000 records; the same on every platform and Python. It changes with the generator only."""

SIZES: Final = {Reason.EVENT_TOO_LARGE, Reason.ENRICHED_TOO_LARGE, Reason.BATCH_TOO_LARGE}
BY_SETTING: Final = {
    Reason.TRAITS_NOT_OBJECT,
    Reason.CONTEXT_FIELD_TYPE,
    Reason.VALUE_INVALID,
}
NEVER: Final = {
    Reason.PROCESSING_ERROR,
    Reason.INVALID_HEADERS,
    Reason.TIMESTAMP_REFUSED,
    Reason.RECORD_REFUSED,
    Reason.INVALID_AVRO,
    Reason.SCHEMA_UNKNOWN,
}
"""Not of what a value of plain JSON holds; `tests/framed_hostile.py` has framed ones."""
USUAL: Final = set(Reason) - SIZES - BY_SETTING - NEVER - {Reason.RECORD_TOO_LARGE}


def made(count: int, **plan: Any) -> list[Generated]:
    """So many records of a generator."""
    return list(islice(Generator(**plan), count))


@cache
def good_events() -> tuple[JsonObject, ...]:
    """10,000 good single events, decoded with exact numbers."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    records = islice(Generator(seed=7, invalid_share=0, batch_share=0), 10_000)
    return tuple(decode(record.value or b"") for record in records)


def digest(records: Iterator[Generated]) -> str:
    """A hash of all that records are."""
    found = hashlib.sha256()
    for record in records:
        found.update(repr((record.value, record.key, record.events, record.timestamp)).encode())
        found.update(",".join(reason.value for reason in record.invalid).encode())
    return found.hexdigest()


def test_bytes_of_a_seed_never_change() -> None:
    """The bytes of a seed are the same as in every earlier version."""
    plan = Generator(seed=42, invalid_share=0.2, batch_share=0.1, strict=True, huge=True)
    assert digest(islice(plan, 3000)) == DIGEST


def test_iterations_are_equal_and_independent() -> None:
    """Every iteration starts anew, also while another one runs; another seed gives others."""
    generator = Generator(seed=1)
    for one, other in zip(islice(generator, 500), islice(generator, 500), strict=True):
        assert one == other
    assert made(50, seed=1) != made(50, seed=2)


@pytest.mark.parametrize(
    ("count", "plan"),
    [
        (6000, {}),
        (3000, {"seed": 1, "invalid_share": 0.7, "batch_share": 0.2}),
        (3000, {"seed": 2, "invalid_share": 1, "batch_share": 0}),
        (500, {"seed": 3, "invalid_share": 0.3, "batch_share": 1}),
        (2000, {"seed": 4, "invalid_share": 0.5, "lines": True}),
        (1500, {"seed": 5, "invalid_share": 0.9, "strict": True}),
        (600, {"seed": 6, "invalid_share": 1, "huge": True}),
        (600, {"seed": 8, "invalid_share": 1, "huge": True, "strict": True}),
    ],
)
def test_stated_outcomes_are_those_of_the_core(count: int, plan: dict[str, Any]) -> None:
    """The core gives each record as many outcomes, and rejects for the reasons, as stated."""
    settings = STRICT_SETTINGS if plan.get("strict") else ContractSettings()
    processor = Processor(settings, IDENTITY)
    for offset, record in enumerate(made(count, **plan)):
        raw = Record(record.value, record.key, (), record.timestamp, "track.raw", 0, offset)
        found = outcomes(processor.process(raw, record.timestamp))
        rejected = tuple(outcome for outcome in found if outcome != "enriched")
        assert (len(found), rejected) == (record.events, record.invalid), record.value


@pytest.mark.parametrize(
    ("plan", "reasons"),
    [
        ({}, USUAL),
        ({"lines": True}, USUAL - set(NOT_IN_LINES)),
        ({"strict": True}, USUAL | BY_SETTING),
        ({"huge": True}, USUAL | SIZES),
        ({"huge": True, "strict": True}, set(Reason) - NEVER),
    ],
)
def test_every_reason_is_reached(plan: dict[str, Any], reasons: set[Reason]) -> None:
    """All reasons that a raw record can cause occur, and no others."""
    records = islice(Generator(seed=5, invalid_share=1, **plan), 2000 if "huge" in plan else 300)
    assert {reason for record in records for reason in record.invalid} == reasons


def test_few_records_show_every_reason() -> None:
    """Faults come in turn, so that a small demo has an example of each."""
    records = made(60, seed=9, invalid_share=1, batch_share=0)
    assert {reason for record in records for reason in record.invalid} == USUAL


def test_shares_are_kept() -> None:
    """Batches are a share of the records, rejected events a share of all events."""
    records = made(20_000, seed=3, invalid_share=0.1, batch_share=0.2)
    batches = [record for record in records if record.events > 1]
    events = sum(record.events for record in records)
    assert len(batches) / len(records) == pytest.approx(0.2, abs=0.01)
    assert sum(len(record.invalid) for record in records) / events == pytest.approx(0.1, abs=0.01)
    assert {record.events for record in batches} == set(range(2, 21))
    for none in made(300, invalid_share=0, batch_share=0):
        assert (none.events, none.invalid) == (1, ())


def test_few_users_send_most_events() -> None:
    """Users follow Zipf's law: the first one tenth, the first hundredth more than half."""
    records = made(20_000, seed=3, users=10_000)
    sent = [count for _, count in Counter(record.key for record in records).most_common()]
    assert sent[0] / len(records) == pytest.approx(0.102, abs=0.01)
    assert sent[0] / sent[9] == pytest.approx(10, rel=0.4)
    assert sum(sent[:100]) / len(records) == pytest.approx(0.53, abs=0.03)
    assert 3000 < len(sent) < 10_000
    assert len({record.key for record in made(200, users=1)}) == 1


def test_users_keep_their_ids() -> None:
    """A userId always has the same anonymousId; the key is the userId, else the anonymousId."""
    anonymous: dict[str, str] = {}
    for event, record in zip(
        good_events(), made(10_000, seed=7, invalid_share=0, batch_share=0), strict=True
    ):
        user, browser = event.get("userId"), event.get("anonymousId")
        assert record.key == str(browser if user is None else user).encode()
        if user is not None and browser is not None:
            assert anonymous.setdefault(str(user), browser) == browser
    assert len(anonymous) > 500


def test_events_are_various() -> None:
    """Every name, every SDK's shape, and single events of 800 to 900 bytes on average."""
    events = good_events()
    assert {event["event"] for event in events} == set(EVENT_NAMES)
    assert len(EVENT_NAMES) >= 30
    libraries = {event["context"].get("library", {}).get("name") for event in events}
    assert libraries == {
        "analytics.js",
        "analytics-ios",
        "analytics-android",
        "analytics-python",
        "@segment/analytics-node",
        "analytics-php",
        "intilery.js",
        None,
    }
    assert any(event.get("action") == "track" and "type" not in event for event in events)
    assert any(event["properties"] == [] for event in events)
    records = made(10_000, seed=7, invalid_share=0, batch_share=0)
    sizes = [len(record.value or b"") for record in records]
    assert 800 <= sum(sizes) / len(sizes) <= 900
    with_traits = sum("traits" in event["context"] for event in events)
    assert 0.05 < with_traits / len(events) < 0.25


def test_money_is_various() -> None:
    """Revenue is a number or text, has mostly a currency, mostly dollars, and no float's tail."""
    paid = [event["properties"] for event in good_events() if "revenue" in event["properties"]]
    assert 0.1 < len(paid) / len(good_events()) < 0.3
    assert {type(properties["revenue"]) for properties in paid} == {int, Decimal, str}
    without = sum("currency" not in properties for properties in paid)
    assert without / len(paid) == pytest.approx(0.15, abs=0.03)
    currencies = Counter(p["currency"].upper() for p in paid if p.get("currency"))
    assert [code for code, _ in currencies.most_common(3)] == ["USD", "EUR", "GBP"]
    assert len(currencies) >= 8
    assert all(type(p["revenue"]) is not str or p["revenue"].isascii() for p in paid)


def test_times_fit_together() -> None:
    """All four times obey Segment's formula; a client's intervals are plausible."""
    forms = Counter[tuple[str, ...]]()
    names = ("originalTimestamp", "timestamp", "sentAt", "receivedAt")
    for event in good_events():
        times = {name: read_time(event[name]) for name in names if name in event}
        known = {name: time[0] for name, time in times.items() if time is not None}
        assert known.keys() == times.keys()
        forms[tuple(known)] += 1
        if len(known) == len(names):
            waited = known["sentAt"] - known["originalTimestamp"]
            assert known["timestamp"] == known["receivedAt"] - waited
        elif "sentAt" in known:
            waited = known["sentAt"] - known.get("timestamp", known.get("originalTimestamp", 0))
            assert -DAY <= waited <= DAY
    wanted = {("timestamp", "sentAt"), ("originalTimestamp", "sentAt"), names, ("timestamp",), ()}
    assert set(forms) == wanted
    assert forms["timestamp", "sentAt"] > len(good_events()) / 2


def test_kafka_timestamps_never_go_back() -> None:
    """Records come in the order of their Kafka timestamps, from `start`, at the mean interval."""
    records = made(5000, start=START + DAY, interval_ms=50)
    assert all(one.timestamp <= other.timestamp for one, other in pairwise(records))
    assert records[0].timestamp >= START + DAY
    span = records[-1].timestamp - records[0].timestamp
    assert span / len(records) == pytest.approx(50, rel=0.05)


def test_lines_are_lines() -> None:
    """For files no value is null, blank, binary, or longer than one line."""
    for record in made(2000, seed=1, invalid_share=0.9, lines=True):
        assert record.value
        assert record.value.strip()
        assert not {b"\n", b"\0", b"\r"} & {bytes([byte]) for byte in record.value}


@pytest.mark.slow
def test_memory_is_constant() -> None:
    """However many records are taken, the generator holds no more than after the first."""
    records = iter(Generator(users=200))
    tracemalloc.start()
    try:
        for _ in islice(records, 2000):
            pass
        before = tracemalloc.get_traced_memory()[0]
        for _ in islice(records, 10_000):
            pass
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 500_000


@pytest.mark.parametrize(
    "plan",
    [
        {"invalid_share": 1.01},
        {"batch_share": -0.1},
        {"users": 0},
        {"start": 0},
        {"start": 1 << 62},
        {"interval_ms": float("nan")},
    ],
)
def test_impossible_plans_are_rejected(plan: dict[str, Any]) -> None:
    """A share outside 0 to 1, no users, or a start out of range is rejected at once."""
    with pytest.raises(ValueError, match="must be"):
        Generator(**plan)
