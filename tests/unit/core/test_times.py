"""The four times and what the timestamp is made from (contract §4)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.timestamps import MAX_MS, MIN_MS, time_text
from tests.support import enrich, good, raw, warnings


def times(record: Any, **settings: Any) -> tuple[Any, ...]:
    """originalTimestamp, timestamp, timestampSource and the warnings."""
    event = enrich(record, **settings)
    source = event["enrichment"].get("timestampSource")
    return event.get("originalTimestamp"), event.get("timestamp"), source, *warnings(event)


@pytest.mark.parametrize("ms", [None, MIN_MS - 1, MAX_MS + 1, 1_700_000_000_000_000, 2**63 - 1])
def test_time_that_is_none(ms: int | None) -> None:
    """A record may have any number as its time: it has no text, and nothing fails."""
    assert time_text(ms) is None


def test_text_of_a_time() -> None:
    """Up to both ends of what can be written."""
    assert time_text(0) == "1970-01-01T00:00:00.000Z"
    assert time_text(MIN_MS) == "0001-01-01T00:00:00.000Z"
    assert time_text(MAX_MS) == "9999-12-31T23:59:59.999Z"


SECOND = "2015-12-12T19:11:0%s.000Z"
A, B, C, D = (SECOND % second for second in (1, 2, 3, 9))


def test_given_timestamp_is_kept() -> None:
    """Both times parse: it was corrected upstream, and sentAt plays no part."""
    event = good(originalTimestamp=A, timestamp=B, sentAt=C, receivedAt=D)
    assert times(event) == (A, B, "given")


@pytest.mark.parametrize("name", ["timestamp", "originalTimestamp"])
def test_timestamp_is_corrected_with_sent_at(name: str) -> None:
    """With a client time and sentAt, the timestamp is receivedAt less the delay at the client."""
    event = good(timestamp=..., sentAt=C, receivedAt=D) | {name: A}
    assert times(event) == (A, SECOND % 7, "corrected")


def test_sent_at_the_same_moment() -> None:
    """`sentAt` equal to the client's time is not before it."""
    assert times(good(timestamp=A, sentAt=A, receivedAt=D)) == (A, D, "corrected")


def test_sent_before_original() -> None:
    """The client's clock moved: the difference means nothing."""
    expected = (B, D, "received", "sent_before_original /sentAt")
    assert times(good(timestamp=B, sentAt=A, receivedAt=D)) == expected


@pytest.mark.parametrize("name", ["timestamp", "originalTimestamp"])
def test_timestamp_without_sent_at_is_the_client_time(name: str) -> None:
    """With a client time but no sentAt, the timestamp is the client time."""
    assert times(good(timestamp=..., receivedAt=D) | {name: A}) == (A, A, "original")


def test_timestamp_without_client_time_is_received_at() -> None:
    """Without a client time the timestamp is receivedAt, whether or not sentAt is known."""
    assert times(good(timestamp=..., receivedAt=D)) == (None, D, "received")
    assert times(good(timestamp=..., sentAt=A, receivedAt=D)) == (None, D, "received")


def test_unreadable_client_time_is_none() -> None:
    """An unreadable time counts as absent, and is named."""
    assert times(good(timestamp="never", originalTimestamp=A, receivedAt=D)) == (
        A,
        A,
        "original",
        "timestamp_unparsable /timestamp",
    )


def test_correction_out_of_range() -> None:
    """A corrected time outside years 1-9999 gives way to receivedAt."""
    first, last = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
    found = times(good(timestamp=first, sentAt=last, receivedAt=D))
    assert found[:3] == (first, D, "received")
    assert [w.split()[0] for w in found[3:]] == ["timestamp_out_of_range"]


def test_without_received_at_kafkas_time() -> None:
    """The Kafka timestamp stands in for a receivedAt that is absent or unreadable."""
    for sent in (..., None, "never"):
        event = enrich(good(receivedAt=sent))
        assert event["receivedAt"] == "2015-12-12T19:11:01.300Z"


@pytest.mark.parametrize("timestamp", [None, 0, -1])
def test_without_any_time_of_receipt(timestamp: int | None) -> None:
    """Without a Kafka time: sentAt, else the client's time, else nothing; never the wall clock."""

    def received(**fields: Any) -> tuple[Any, list[str]]:
        event = enrich(raw(good(receivedAt=..., **fields), timestamp=timestamp))
        return event.get("receivedAt"), warnings(event)

    assert received(sentAt=C, timestamp=A) == (C, [])
    assert received(timestamp=A) == (A, [])
    assert received(timestamp=..., originalTimestamp=A) == (A, [])
    assert received(timestamp=...) == (None, ["received_at_unknown /receivedAt"])


def test_nothing_known_of_time() -> None:
    """Without any time the event has none, and no timestampSource."""
    event = enrich(raw(good(timestamp=..., receivedAt=...), timestamp=None))
    assert event.keys().isdisjoint({"timestamp", "originalTimestamp", "sentAt", "receivedAt"})
    assert "timestampSource" not in event["enrichment"]


def test_all_times_are_in_canonical_form() -> None:
    """Each of the four is written as UTC with milliseconds and Z."""
    zoned = "2015-12-12 20:11:01.5555+0100"
    event = enrich(good(timestamp=zoned, originalTimestamp=zoned, sentAt=zoned, receivedAt=zoned))
    for name in ("timestamp", "originalTimestamp", "sentAt", "receivedAt"):
        assert event[name] == "2015-12-12T19:11:01.555Z"
