"""Batch envelopes: what items inherit, and how a bad item is dead-lettered alone (contract §2)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record, Role, output_bytes
from tests.support import (
    SOURCE,
    dead_letter_of,
    good,
    header,
    only,
    outcomes,
    process,
    raw,
    read,
    reject,
    warnings,
)

BAD = b'{ "event" : "e",\t"userId":"u", "properties":{"revenue":"x", "n":1.10} }'
GOOD = b'{"event":"e","userId":"u"}'


def items(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The enriched events of an envelope without a bad item."""
    outputs = process(envelope)
    assert {output.role for output in outputs} == {Role.ENRICHED}
    return [read(output.value) for output in outputs]


@pytest.mark.parametrize("name", ["context", "integrations"])
def test_items_take_precedence_over_shared_objects(name: str) -> None:
    """The item takes precedence, one level deep: an inner object is replaced, not merged."""
    shared = {"a": {"x": True}, "b": {"y": True}}
    own: dict[str, Any] = {"b": {"z": True}, "c": {}}
    with_own, without, null = items(
        {"batch": [good(**{name: own}), good(), good(**{name: None})], name: shared}
    )
    assert with_own[name] == {"a": {"x": True}, "b": {"z": True}, "c": {}}
    assert without[name] == null[name] == shared


def test_shared_times_fill_what_is_absent() -> None:
    """The envelope's `sentAt` and `receivedAt` are used for items that have none."""
    shared, own = "2015-12-12T19:11:05.000Z", "2015-12-12T19:11:06.000Z"
    times = {"sentAt": shared, "receivedAt": shared}
    filled, kept, null = items(
        {
            "batch": [
                good(receivedAt=...),
                good(sentAt=own, receivedAt=own),
                good(sentAt=None, receivedAt=None),
            ],
            **times,
        }
    )
    for name in times:
        assert filled[name] == null[name] == shared
        assert kept[name] == own


def test_other_shared_fields_are_not_inherited() -> None:
    """Only context, integrations and two times are shared; no identity, no type, no extra field."""
    envelope = {"batch": [good(userId=...)], "userId": "u", "anonymousId": "a", "type": "page"}
    assert dead_letter_of(process(envelope)[0]).broken == ["no_user_anon_id"]
    (event,) = items({"batch": [good()], "type": "batch", "timestamp": "x", "requestId": 1})
    assert "requestId" not in event
    assert warnings(event) == []


def test_items_do_not_share_what_they_inherit() -> None:
    """What is normalised in one item does not show in another."""
    first, second = items(
        {
            "batch": [good(context={"ip": "1"}), good()],
            "context": {"traits": {"plan": "pro"}},
        }
    )
    assert first["context"] == {"traits": {"plan": "pro"}, "ip": "1"}
    assert second["context"] == {"traits": {"plan": "pro"}}
    assert first["traits"] == second["traits"] == {"plan": "pro"}


def test_every_output_has_its_index() -> None:
    """Good and bad items alike carry topic/partition/offset/index."""
    enriched, dead, last = process(b'{"batch":[' + b",".join([GOOD, BAD, GOOD]) + b"]}")
    assert header(enriched, TrackHeader.SOURCE) == f"{SOURCE}/0"
    assert header(dead, DlqHeader.SOURCE) == f"{SOURCE}/1"
    assert header(last, TrackHeader.SOURCE) == f"{SOURCE}/2"


def test_an_envelope_that_can_not_be_split_has_no_index() -> None:
    """One dead letter with the coordinates of the record stands for the whole envelope."""
    for value in (b'{"batch":[]}', b'{"batch":1}', b'{"batch":[1],"batch":[2]}'):
        dead_letter = reject(value)
        assert dead_letter.headers[DlqHeader.SOURCE] == SOURCE
        assert dead_letter.headers[DlqHeader.STAGE] == "split"
        assert dead_letter.output.value == value


def _parts(value: bytes | None) -> dict[str, bytes]:
    """The raw bytes of each top-level field."""
    assert value is not None
    raws = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    return {name: bytes(part) for name, part in raws.items()}


def test_a_bad_item_keeps_its_own_bytes() -> None:
    """The dead letter is an envelope of that item alone, in which every value has its raw bytes."""
    value = (
        b'{ "sentAt" : "2015-12-12T19:11:05Z" , "context": { "a" : 1.10 },\n"batch" : [ '
        + GOOD
        + b" , "
        + BAD
        + b' ], "extra":[ 1e2 , "\\u00e9" ] }'
    )
    enriched, dead = process(value)
    assert enriched.role is Role.ENRICHED
    parts = _parts(dead.value)
    assert parts.pop("batch").strip(b"[] ") == BAD
    expected = _parts(value)
    del expected["batch"]
    assert parts == expected


@pytest.mark.parametrize("bad", [BAD, b"1", b'"x"', b"null", b"[]", b"{}", b'{"batch":[]}'])
def test_a_bad_item_can_be_fed_again(bad: bytes) -> None:
    """The value of the dead letter gives the same violations and the same value again."""
    for value in (
        b'{"batch":[' + GOOD + b"," + bad + b'],"context":{"a":1}}',
        b'{"integrations":{},"batch":[' + bad + b", " + GOOD + b"]}",
    ):
        (dead,) = (output for output in process(value) if output.role is Role.DEAD_LETTER)
        again = reject(dead.value)
        assert again.reasons == dead_letter_of(dead).reasons
        assert again.output.value == dead.value


def test_duplicate_envelope_fields_are_kept() -> None:
    """Of a key that occurs twice in the envelope the last one is in the dead letter."""
    value = (
        b'{"context":1,"batch":[' + BAD + b"," + GOOD + b'],"context":{"a":1},"context":{"b":2}}'
    )
    dead, enriched = process(value)
    assert read(enriched.value)["context"] == {"b": "2"}
    assert _parts(dead.value)["context"] == b'{"b":2}'


def _generated(record: Record, **settings: Any) -> list[str]:
    return [read(output.value)["messageId"] for output in process(record, **settings)]


def test_a_redriven_item_keeps_its_index_and_id() -> None:
    """A one-item envelope with an accepted origin keeps that origin's index, also in its ids."""
    first = raw(b'{"batch":[' + GOOD + b"," + GOOD + b"," + GOOD + b"]}")
    ids = _generated(first)
    assert len(set(ids)) == 3
    again = raw(
        b'{"batch":[' + GOOD + b"]}", [(TrackHeader.ORIGIN, f"{SOURCE}/2".encode())], offset=99
    )
    assert _generated(again, accept_origin_headers=True) == ids[2:]
    output = only(process(again, accept_origin_headers=True), Role.ENRICHED)
    assert header(output, TrackHeader.SOURCE) == f"{SOURCE}/2"


def test_batch_output_limit() -> None:
    """One byte under what the items give, the record is one dead letter that keeps its bytes."""
    value = b'{"batch":[' + b",".join([GOOD] * 10) + b'],"context":{"blob":"' + b"x" * 500 + b'"}}'
    size = sum(map(output_bytes, process(value)))
    within = process(value, limits={"max_batch_output_bytes": size})
    assert outcomes(within) == ("enriched",) * 10
    dead_letter = reject(value, limits={"max_batch_output_bytes": size - 1})
    assert (dead_letter.broken, dead_letter.output.value) == (["batch_too_large"], value)
    assert dead_letter.headers[DlqHeader.SOURCE] == SOURCE
    assert dead_letter.headers[DlqHeader.STAGE] == "split"


def test_batch_output_limit_counts_keys_and_headers() -> None:
    """What each output takes besides its value counts too."""
    value = b'{"batch":[' + b",".join([GOOD] * 10) + b"]}"
    limits = {"max_batch_output_bytes": 10_000}
    assert outcomes(process(value, limits=limits)) == ("enriched",) * 10
    headers = [("blob", b"x" * 1_000)]
    assert outcomes(process(raw(value, headers), limits=limits)) == ("batch_too_large",)


def test_batch_item_limit() -> None:
    """A batch with one item more than the limit is one dead letter that says how many, and why."""
    limits = {"max_batch_items": 10}
    assert outcomes(process(b'{"batch":[' + b",".join([GOOD] * 10) + b"]}", limits=limits)) == (
        ("enriched",) * 10
    )
    value = b'{"batch":[' + b",".join([GOOD] * 11) + b"]}"
    dead_letter = reject(value, limits=limits)
    assert (dead_letter.broken, dead_letter.output.value) == (["batch_too_large"], value)
    assert dead_letter.headers[DlqHeader.STAGE] == "split"
    assert "11 items, over limits.max_batch_items (10)" in dead_letter.headers[DlqHeader.REASONS]
