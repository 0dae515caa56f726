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
    last = "9999-12-31T23:59:59.999Z"
    found = times(good(timestamp=A, sentAt=last, receivedAt=D))
    assert found == (A, D, "received", "timestamp_out_of_range /timestamp")


FAR_PAST = "timestamp_far_past /timestamp"
ZERO_TIMES = ("0001-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "1999-12-31T23:59:59.999Z")


@pytest.mark.parametrize("zero", ZERO_TIMES)
def test_zero_time_is_kept(zero: str) -> None:
    """A time that was never set stays what it is, for all to see: no correction makes it right."""
    for fields in ({"timestamp": zero}, {"timestamp": ..., "originalTimestamp": zero}):
        event = good(receivedAt=D, **fields)
        assert times(event) == (zero, zero, "original", FAR_PAST)
        assert times(event | {"sentAt": C}) == (zero, zero, "original", FAR_PAST)


def test_zero_time_beside_a_corrected_one() -> None:
    """A timestamp that was corrected before is kept and warned about alike."""
    zero = ZERO_TIMES[0]
    assert times(good(originalTimestamp=A, timestamp=zero)) == (A, zero, "given", FAR_PAST)
    assert times(good(originalTimestamp=zero, timestamp=A)) == (zero, A, "given")


def test_ten_years_before_receipt() -> None:
    """The limit is 3,653 days before receivedAt; up to there a time is corrected."""
    near, far = "2005-12-11T19:11:09.000Z", "2005-12-11T19:11:08.999Z"
    sent = good(sentAt=D, receivedAt=D)
    assert times(sent | {"timestamp": near}) == (near, near, "corrected")
    assert times(sent | {"timestamp": far}) == (far, far, "original", FAR_PAST)


def test_clock_that_was_never_set() -> None:
    """Where both times of a client are in the far past, their difference is right: corrected."""
    first, second = "1970-01-01T00:00:05.000Z", "1970-01-01T00:00:07.000Z"
    event = good(timestamp=first, sentAt=second, receivedAt=D)
    assert times(event) == (first, SECOND % 7, "corrected")


def test_far_past_by_correction() -> None:
    """A client's clock that jumped makes a far time of a near one: corrected, and warned about."""
    event = good(timestamp=A, sentAt="2035-12-12T19:11:01.000Z", receivedAt=D)
    assert times(event) == (A, "1995-12-12T19:11:09.000Z", "corrected", FAR_PAST)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("never", "never"),
        (" 12/31/2015\n", " 12/31/2015\n"),
        ("", ""),
        ("\u2603" * 65, "\u2603" * 64),
        (5, "5"),
        (True, "true"),
        ({"$date": "2015"}, '{"$date":"2015"}'),
        ([0] * 100, "[" + "0," * 31 + "0"),
    ],
)
def test_unreadable_times_are_kept_in_the_enrichment(sent: object, kept: str) -> None:
    """What can't be read is left out of its field, and not lost: 64 characters of it remain."""
    event = enrich(good(timestamp=..., originalTimestamp=sent, sentAt=C, receivedAt=D))
    assert "originalTimestamp" not in event
    assert event["enrichment"]["unreadable"] == {"/originalTimestamp": kept}
    assert warnings(event) == ["timestamp_unparsable /originalTimestamp"]


def test_number_that_is_too_long_to_be_a_time() -> None:
    """No event is rejected because of a time, also not for a number that can't be decoded."""
    event = enrich('{"event":"e","userId":"u","timestamp":' + "9" * 5_000 + "}")
    assert event["enrichment"]["unreadable"] == {"/timestamp": "9" * 64}


def test_every_unreadable_time_is_kept() -> None:
    """Each of the four, in their order; what was unreadable before remains when processed again."""
    names = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
    event = enrich(good(**dict.fromkeys(names, "x")))
    unreadable = {f"/{name}": "x" for name in names}
    assert list(event["enrichment"]["unreadable"].items()) == list(unreadable.items())
    again = enrich(event)
    assert again["enrichment"]["unreadable"] == unreadable
    assert warnings(again) == ["enrichment_replaced /enrichment"]
    changed = enrich(event | {"sentAt": "y"})
    assert changed["enrichment"]["unreadable"] == unreadable | {"/sentAt": "y"}


@pytest.mark.parametrize(
    "sent",
    [None, "x", [], {"/userId": "u"}, {"/sentAt": 5}, {"/sentAt": None}, {"sentAt": "x"}],
)
def test_enrichment_of_others_says_nothing_unreadable(sent: object) -> None:
    """Only what this program could have written is taken over from an enrichment that was sent."""
    event = enrich(good(enrichment={"unreadable": sent}))
    assert "unreadable" not in event["enrichment"]


def test_long_texts_of_an_earlier_enrichment_are_cut() -> None:
    """A sender can't put more into it than this program would."""
    event = enrich(good(enrichment={"unreadable": {"/sentAt": "x" * 100}}))
    assert event["enrichment"]["unreadable"] == {"/sentAt": "x" * 64}


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
