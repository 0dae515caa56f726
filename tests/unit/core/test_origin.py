"""Headers of a raw record that are trusted, and when (contract §5, last sentences)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Role
from tests.support import (
    NOW,
    NOW_TEXT,
    SOURCE,
    TIMESTAMP,
    enrich,
    header,
    only,
    process,
    raw,
    reject,
)

ORIGIN = [
    (TrackHeader.ORIGIN, b"older.topic/0/5"),
    (TrackHeader.ORIGIN_TIMESTAMP, b"1400000000000"),
    (DlqHeader.ATTEMPT, b"2"),
    (DlqHeader.FIRST_FAILED_AT, b"2014-05-13T16:53:20.000Z"),
]
ACCEPT: dict[str, Any] = {"accept_origin_headers": True}
EVENT = b'{"event":"e","userId":"u"}'


def test_not_believed_by_default() -> None:
    """A client can't forge an origin: all four are removed and change nothing."""
    for value in (EVENT, b"{}"):
        assert process(raw(value, ORIGIN)) == process(raw(value))


def test_accepted_origin_of_an_enriched_event() -> None:
    """Coordinates and timestamp are those of the origin, in headers, Kafka time and receivedAt."""
    output = only(process(raw(EVENT, ORIGIN), **ACCEPT), Role.ENRICHED)
    assert header(output, TrackHeader.SOURCE) == "older.topic/0/5"
    assert output.timestamp == 1_400_000_000_000
    assert output.partition == 3
    assert enrich(raw(EVENT, ORIGIN), **ACCEPT)["receivedAt"] == "2014-05-13T16:53:20.000Z"


def test_accepted_origin_of_a_dead_letter() -> None:
    """The dead letter names the first source and failure, and counts one attempt more."""
    dead_letter = reject(raw(b"{}", ORIGIN), **ACCEPT)
    assert dead_letter.headers[DlqHeader.SOURCE] == "older.topic/0/5"
    assert dead_letter.headers[DlqHeader.SOURCE_TIMESTAMP] == "1400000000000"
    assert dead_letter.headers[DlqHeader.ATTEMPT] == "3"
    assert dead_letter.headers[DlqHeader.FIRST_FAILED_AT] == "2014-05-13T16:53:20.000Z"
    assert dead_letter.headers[DlqHeader.FAILED_AT] == NOW_TEXT
    assert dead_letter.output.timestamp == NOW


def test_accepted_origin_headers_are_removed_too() -> None:
    """What was believed is not passed on."""
    for value in (EVENT, b"{}"):
        (output,) = process(raw(value, ORIGIN), **ACCEPT)
        assert header(output, TrackHeader.ORIGIN) is None
        assert header(output, TrackHeader.ORIGIN_TIMESTAMP) is None


def test_items_have_the_origin_with_their_index() -> None:
    """A whole envelope that is redriven gives each item the origin's coordinates and its index."""
    outputs = process(raw(b'{"batch":[' + EVENT + b"," + EVENT + b"]}", ORIGIN), **ACCEPT)
    sources = [header(output, TrackHeader.SOURCE) for output in outputs]
    assert sources == ["older.topic/0/5/0", "older.topic/0/5/1"]


@pytest.mark.parametrize("value", [EVENT, b"{}"])
def test_index_of_an_accepted_origin(value: bytes) -> None:
    """An origin with an index is taken over whole."""
    (output,) = process(raw(value, [(TrackHeader.ORIGIN, b"raw/0/5/17")]), **ACCEPT)
    assert "raw/0/5/17" in {header(output, TrackHeader.SOURCE), header(output, DlqHeader.SOURCE)}


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"raw",
        b"raw/0",
        b"raw/0/",
        b"raw/0/5/",
        b"raw/0/5/1/2",
        b"raw//5",
        b"/0/5",
        b"raw/-1/5",
        b"raw/0/-5",
        b"raw/0/5.0",
        b"raw/0/five",
        b"raw/0/1e3",
        b"raw/0/0x5",
        b"raw/0/1_000",
        b" raw/0/5",
        b"raw/0/5\n",
        b"raw/0/ 5",
        b"two words/0/5",
        b"raw:0:5",
        "raw/0/٥".encode(),
        b"raw/0/\xff",
        b"raw/0/5\x00",
        b"raw/0/" + b"9" * 40,
        b"x" * 250 + b"/0/5",
    ],
)
def test_malformed_origin_is_ignored(text: bytes | None) -> None:
    """Anything but exactly our own form leaves the record's own coordinates and timestamp."""
    headers = [(TrackHeader.ORIGIN, text), (TrackHeader.ORIGIN_TIMESTAMP, b"1400000000000")]
    output = only(process(raw(EVENT, headers), **ACCEPT), Role.ENRICHED)
    assert header(output, TrackHeader.SOURCE) == SOURCE
    assert output.timestamp == TIMESTAMP


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"0",
        b"-1",
        b"+1",
        b"1.0",
        b"1e3",
        b" 1",
        b"1\n",
        b"01",
        b"two",
        b"9" * 30,
        "٢".encode(),
    ],
)
def test_malformed_attempt_is_ignored(text: bytes | None) -> None:
    """A count that is not a plain positive number starts at 1 again."""
    headers = [*ORIGIN[:2], (DlqHeader.ATTEMPT, text)]
    assert reject(raw(b"{}", headers), **ACCEPT).headers[DlqHeader.ATTEMPT] == "1"


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"yesterday",
        b"2014-05-13",
        b"1400000000000",
        b"2014-13-45T16:53:20.000Z",
        b"2014-05-13T16:53:20.000Z\n",
        b"\xff",
        b"x" * 10_000,
    ],
)
def test_malformed_first_failure_is_ignored(text: bytes | None) -> None:
    """A time that is not in our form leaves now as the first failure."""
    headers = [*ORIGIN[:3], (DlqHeader.FIRST_FAILED_AT, text)]
    assert reject(raw(b"{}", headers), **ACCEPT).headers[DlqHeader.FIRST_FAILED_AT] == NOW_TEXT


@pytest.mark.parametrize("text", [b"", b"0", b"-1", b"1.5", b" 1", b"now", b"1\n", b"9" * 40])
def test_malformed_origin_timestamp_is_ignored(text: bytes) -> None:
    """A timestamp that can't be read is never taken over, whatever stands in for it."""
    headers = [ORIGIN[0], (TrackHeader.ORIGIN_TIMESTAMP, text)]
    output = only(process(raw(EVENT, headers), **ACCEPT), Role.ENRICHED)
    assert header(output, TrackHeader.SOURCE) == "older.topic/0/5"
    assert output.timestamp in {TIMESTAMP, 1}
