"""Generated message ids: the same for every replay of the same record (contract §4)."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid5

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.identities import NAMESPACE, PLACEHOLDERS
from tests.support import enrich, good, process, raw, read, warnings

GENERATED = ["message_id_generated /messageId"]


def expected(original: bytes, where: str) -> str:
    """The id of an event that was read at `topic:partition:offset:index`."""
    return str(uuid5(NAMESPACE, f"{where}:{hashlib.sha256(original).hexdigest()}"))


def test_namespace_is_a_constant() -> None:
    """A change of it would give every replayed event another id."""
    assert UUID("6f0c1d52-9f0e-5d7b-8b7c-3b1a52f6f3a1") == NAMESPACE


@pytest.mark.parametrize("sent", [..., None, "", "  ", True, 1.5, {}, ["m"], {"id": "m"}])
def test_message_ids_are_generated(sent: object) -> None:
    """A missing or unusable messageId is generated from coordinates and bytes."""
    record = raw(good(messageId=sent))
    event = enrich(record)
    assert event["messageId"] == expected(record.value or b"", "track.raw:3:42:")
    assert warnings(event) == GENERATED


@pytest.mark.parametrize("text", ["1e38", "1e999", "1" * 39])
def test_numbers_too_long_for_an_id(text: str) -> None:
    """A number of more than 38 digits is no usable id."""
    value = b'{"event":"e","userId":"u","messageId":' + text.encode() + b"}"
    assert enrich(value)["messageId"] == expected(value, "track.raw:3:42:")


def test_generated_in_a_batch() -> None:
    """An item's id has its index and the hash of its own bytes."""
    first, second = b'{"event":"e","userId":"u"}', b'{ "event":"f","userId":"u" }'
    outputs = process(b'{"batch":[' + first + b" , " + second + b'],"context":{"a":1}}')
    ids = [read(output.value)["messageId"] for output in outputs]
    assert ids == [
        expected(first, "track.raw:3:42:0"),
        expected(second, "track.raw:3:42:1"),
    ]


def test_generated_for_a_file() -> None:
    """Lines of a file have ids of their own, the same for each reading."""
    value = b'{"event":"e","userId":"u"}'
    first, second = (raw(value, topic="a.ndjson", partition=-1, offset=n) for n in (1, 2))
    assert enrich(first)["messageId"] == enrich(first)["messageId"]
    assert enrich(first)["messageId"] != enrich(second)["messageId"]


def test_each_coordinate_counts() -> None:
    """Another topic, partition, offset or other bytes give another id."""
    value = b'{"event":"e","userId":"u"}'
    records = [
        raw(value),
        raw(value, topic="other"),
        raw(value, partition=4),
        raw(value, offset=43),
        raw(value + b" "),
    ]
    assert len({enrich(record)["messageId"] for record in records}) == len(records)


def test_time_settings_and_headers_do_not_count() -> None:
    """A replay at another time, under other settings, keeps the id."""
    record = raw(b'{"event":"e","userId":"u"}')
    ids = {
        enrich(record)["messageId"],
        enrich(record, now=1)["messageId"],
        enrich(record, default_currency="EUR")["messageId"],
        enrich(record._replace(headers=[("a", b"b")], timestamp=None, key=None))["messageId"],
    }
    assert len(ids) == 1


def test_accepted_origin_replaces_the_coordinates() -> None:
    """A redriven record gets the id that it would have had at first."""
    record = raw(b'{"event":"e","userId":"u"}', [(TrackHeader.ORIGIN, b"track.raw/3/42")], offset=7)
    assert enrich(record, accept_origin_headers=True)["messageId"] == expected(
        record.value or b"", "track.raw:3:42:"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("undefined", "null", "NULL", "None", "none", "NaN", "nan", "[object Object]"),
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_text_that_stands_for_no_id(text: str) -> None:
    """Each as the languages write it."""
    assert text in PLACEHOLDERS


@pytest.mark.parametrize("text", ["0", "nancy", "nulls", "test", "anonymous", "-1", ""])
def test_text_that_may_be_an_id(text: str) -> None:
    """Odd ids are the sender's own."""
    assert text not in PLACEHOLDERS
