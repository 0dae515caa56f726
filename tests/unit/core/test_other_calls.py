"""Calls besides track: rejected, dropped, or forwarded as they are (contract §3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.headers import TrackHeader
from pipeline.core.record import Output, Role
from tests.hostile import FORGED
from tests.support import IDENTITY as WORKER
from tests.support import (
    NOW,
    PARTITION,
    SOURCE,
    TIMESTAMP,
    good,
    header,
    only,
    outcomes,
    process,
    raw,
    reject,
)
from tests.unit.core import strategies as some

FORWARD = "forward"


def _forward(value: bytes) -> Output:
    return only(process(raw(value), on_other_type=FORWARD), Role.OTHER)


@pytest.mark.parametrize("call", ["page", "screen", "identify", "group", "alias"])
@pytest.mark.parametrize("field", ["type", "action"])
def test_other_calls_are_forwarded_byte_for_byte(call: str, field: str) -> None:
    """Spaces, escapes, digits, repeated keys and a byte-order mark stay; no other rule applies."""
    value = b'\xef\xbb\xbf { "a":1e3, "a" : 0.10,"x":"\\u00e4",  "properties":5, "%s": "%s" }\r\n'
    value %= (field.encode(), call.encode())
    output = _forward(value)
    assert (output.value, output.key, output.timestamp) == (value, b"key", TIMESTAMP)
    assert (output.partition, output.reason, output.revenue) == (PARTITION, "", None)


@pytest.mark.parametrize("spelling", ["Page", " identify ", "GROUP\\n"])
def test_case_and_outer_spaces_do_not_matter(spelling: str) -> None:
    """Another spelling of a known call is that call, and is forwarded as it was spelt."""
    value = f'{{"type":"{spelling}","userId":"u"}}'.encode()
    assert _forward(value).value == value


def test_forwarded_headers_are_the_sender_s_and_two_of_ours() -> None:
    """Forged headers are removed; ours name the source and the contract."""
    own = ("trace", b"1")
    record = raw(good(type="page"), [*FORGED, own, own])
    output = only(process(record, on_other_type=FORWARD), Role.OTHER)
    names = [name for name, _ in output.headers]
    assert names == ["trace", "trace", TrackHeader.SOURCE, TrackHeader.CONTRACT]
    assert header(output, TrackHeader.SOURCE) == SOURCE


def test_headers_of_a_replay_name_it() -> None:
    """What a replay forwards is marked like its enriched events."""
    identity = WORKER.model_copy(update={"replay": "r1"})
    output = only(process(good(type="page"), identity=identity, on_other_type=FORWARD), Role.OTHER)
    assert header(output, TrackHeader.REPLAY) == "r1"


@pytest.mark.parametrize("action", ["drop", "forward"])
@pytest.mark.parametrize("kind", ["trak", "pages", 7, ["page"], True])
def test_unknown_calls_stay_dead_letters(kind: object, action: str) -> None:
    """What may be a misspelt track call is neither dropped nor forwarded."""
    dead_letter = reject(good(type=kind), on_other_type=action)
    assert dead_letter.output.reason == "unsupported_type"


def test_type_decides_before_action_does() -> None:
    """A track call with an action that names another call is a track call."""
    assert outcomes(process(good(action="page"), on_other_type=FORWARD)) == ("enriched",)


@pytest.mark.parametrize(
    ("value", "settings", "reason"),
    [
        (b'{"type":"page"', {}, "invalid_json"),
        (b'{"type":"page","x":"\xff"}', {}, "invalid_utf8"),
        (b'{"type":"page","x":"1234567"}', {"limits": {"max_event_bytes": 20}}, "event_too_large"),
        (b'["page"]', {}, "not_an_object"),
    ],
)
def test_what_cannot_be_read_is_rejected(
    value: bytes, settings: dict[str, object], reason: str
) -> None:
    """Nobody knows that it is another call, or it is over a limit."""
    assert reject(raw(value), on_other_type=FORWARD, **settings).output.reason == reason


def test_item_of_a_batch_keeps_the_shared_context() -> None:
    """The value is the envelope with this item only, as that of a dead letter is."""
    item = b'{"type": "page", "n": 1e3}'
    track = good()
    value = b'{"sentAt": 1.0,"batch":[%s, %s,{"type":"x"}], "context":{"ip":"::1"}}' % (
        json.dumps(track).encode(),
        item,
    )
    record = raw(value)
    outputs = process(record, on_other_type=FORWARD)
    assert outcomes(outputs) == ("enriched", "other", "unsupported_type")
    other, rejected = outputs[1:]
    assert other.value == b'{"sentAt":1.0,"batch":[%s],"context":{"ip":"::1"}}' % item
    assert (rejected.value or b"").replace(b'{"type":"x"}', item) == other.value
    assert header(other, TrackHeader.SOURCE) == f"{SOURCE}/1"
    assert expected_outcomes(record.value, outputs) == 3


def test_only_item_of_a_batch_keeps_its_record() -> None:
    """An envelope with one item is forwarded as it was read."""
    value = b'{"batch":[ {"type":"page"} ] }'
    output = _forward(value)
    assert output.value == value
    assert header(output, TrackHeader.SOURCE) == f"{SOURCE}/0"


@pytest.mark.parametrize("timestamp", [None, -1, 0])
def test_record_without_a_time_gets_the_first_millisecond(timestamp: int | None) -> None:
    """The time of processing does not decide what is written."""
    record = raw(good(type="page"), timestamp=timestamp)
    assert only(process(record, on_other_type=FORWARD, now=NOW), Role.OTHER).timestamp == 1


@given(some.event_texts)
def test_whatever_is_forwarded_keeps_its_bytes(value: bytes) -> None:
    """An event is forwarded exactly where it would be dropped; all others are as without it."""
    record = raw(value)
    (forwarded,) = process(record, on_other_type=FORWARD)
    (dropped,) = process(record, on_other_type="drop")
    assert (forwarded.role is Role.OTHER) == (dropped.role is Role.DROPPED)
    if forwarded.role is Role.OTHER:
        assert forwarded.value == value
    else:
        assert (forwarded.role, forwarded.value) == (dropped.role, dropped.value)


@pytest.mark.parametrize("text", [r'"\ud83d"', "NaN"])
def test_unreadable_text_beside_the_type(text: str) -> None:
    """Half of a surrogate pair is no trouble, and stays; what is no JSON is a dead letter."""
    value = f'{{"type":"page","title":{text}}}'.encode()
    (output,) = process(raw(value), on_other_type=FORWARD)
    assert output.value == value
    assert (output.role is Role.OTHER) == (text != "NaN")


def test_the_setting_is_part_of_the_contract() -> None:
    """Outputs under another setting are told apart by their contract."""
    contracts = {
        header(process(good(), on_other_type=action)[0], TrackHeader.CONTRACT)
        for action in ("dead-letter", "drop", "forward")
    }
    assert len(contracts) == 3
