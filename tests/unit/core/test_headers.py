"""Headers, keys and Kafka timestamps of what is written (contract §5 and §6)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.dead_letter import pointer_to, read_headers
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import INVALID_HEADERS, Record, Role
from tests.support import (
    IDENTITY,
    NOW,
    NOW_TEXT,
    SOURCE,
    TIMESTAMP,
    dead_letter_of,
    good,
    header,
    is_ours,
    only,
    process,
    raw,
    reject,
)
from tests.unit.core.invariants import check_dead_letter
from tests.unit.core.test_objects import CONTEXT_TYPES

THEIRS = [("trace", b"1"), ("x", None), ("trace", b"2")]
RULE: dict[str, Any] = {"identify": [{"event": "*"}]}
WITH_TRAITS = good(context={"traits": {"a": 1}})


# Enriched and identify


def test_enriched_events_have_our_headers() -> None:
    """The sender's headers are kept, followed by source and contract."""
    for output in process(raw(WITH_TRAITS, THEIRS), **RULE):
        contract = ContractSettings.model_validate(RULE).contract()
        assert list(output.headers) == [
            *THEIRS,
            ("track.source", SOURCE.encode()),
            ("track.contract", contract.encode()),
        ]


def test_outputs_of_a_replay_are_marked() -> None:
    """The outputs of a replay have its id."""
    replay = Identity(app="a/1", group="g", replay="replay-7")
    for output in process(WITH_TRAITS, identity=replay, **RULE):
        assert header(output, "track.replay") == "replay-7"
    assert reject(good(event=5), identity=replay).headers["dlq.replay"] == "replay-7"
    assert header(process(good())[0], "track.replay") is None


@pytest.mark.parametrize("key", [None, b"", b"k", b"\x00\xff"])
@pytest.mark.parametrize("partition", [0, 11])
def test_key_and_partition_as_read(key: bytes | None, partition: int) -> None:
    """Null and empty keys are not the same; the partition is the source's."""
    for value in (WITH_TRAITS, b"{}", {"batch": [WITH_TRAITS, {}]}):
        for output in process(raw(value, key=key, partition=partition), **RULE):
            assert (output.key, output.partition) == (key, partition)


def test_enriched_timestamp_is_kafkas() -> None:
    """Enriched and identify messages keep the record's Kafka timestamp."""
    assert [o.timestamp for o in process(raw(WITH_TRAITS, timestamp=1), **RULE)] == [1, 1]
    assert [o.timestamp for o in process(WITH_TRAITS, **RULE)] == [TIMESTAMP] * 2


@pytest.mark.parametrize("timestamp", [None, 0, -1])
@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("2015-12-12T19:11:01.266Z", 1_449_947_461_266),
        ("1970-01-01T00:00:00.001Z", 1),
        (NOW_TEXT, NOW),
        ("1969-12-31T23:59:59.999Z", 1),
        ("2015-12-14T00:00:00.001Z", 1),
        ("9999-12-31T23:59:59.999Z", 1),
    ],
)
def test_timestamp_of_a_record_without_one(
    timestamp: int | None, received: str, expected: int
) -> None:
    """The timestamp is `receivedAt` between 1970 and now, else 1 ms: never 0, which means "now"."""
    event = WITH_TRAITS | {"receivedAt": received}
    for output in process(raw(event, timestamp=timestamp), **RULE):
        assert output.timestamp == expected


def test_timestamp_of_a_record_without_any_time() -> None:
    """A record without any time gets 1 ms."""
    record = raw(good(receivedAt=..., timestamp=...), timestamp=None)
    assert only(process(record), Role.ENRICHED).timestamp == 1


def test_now_changes_nothing_else() -> None:
    """`now` shows in Kafka timestamps and failed.at headers only."""
    for value in (WITH_TRAITS, b"{}"):
        (early,), (late,) = process(value, now=NOW), process(value, now=NOW + 1)
        assert early.value == late.value
        differing = {a[0] for a, b in zip(early.headers, late.headers, strict=True) if a != b}
        assert differing <= {"dlq.failed.at", "dlq.first.failed.at"}


# Dead letters


def test_every_dead_letter_header_has_its_value() -> None:
    """Each header of the contract's table has its value."""
    library = {"name": "analytics.js", "version": "2.11.1"}
    event = good(userId=..., properties=5, context={"library": library})
    dead_letter = reject(raw(event, THEIRS))
    reasons = json.loads(dead_letter.headers.pop("dlq.reasons"))
    assert dead_letter.headers == {
        "dlq.version": "1",
        "dlq.reason": dead_letter.reasons[0]["code"],
        "dlq.stage": "validate",
        "dlq.source": SOURCE,
        "dlq.source.timestamp": str(TIMESTAMP),
        "dlq.failed.at": NOW_TEXT,
        "dlq.first.failed.at": NOW_TEXT,
        "dlq.attempt": "1",
        "dlq.group": "the-group",
        "dlq.app": "track-pipeline/test",
        "dlq.event": "Order Completed",
        "dlq.message.id": "message-1",
        "dlq.library": "analytics.js/2.11.1",
        "track.contract": ContractSettings().contract(),
    }
    assert sorted((r["code"], r["pointer"]) for r in reasons) == [
        ("no_user_anon_id", ""),
        ("properties_not_object", "/properties"),
    ]
    assert dead_letter.output.timestamp == NOW
    assert list(dead_letter.output.headers)[: len(THEIRS)] == THEIRS


@pytest.mark.parametrize(
    ("value", "reason", "stage"),
    [
        (None, "null_value", "decode"),
        (b"", "empty_value", "decode"),
        (b"\xff", "invalid_utf8", "decode"),
        (b"{", "invalid_json", "decode"),
        (b"[" * 1_000, "too_deep", "decode"),
        (b"[]", "not_an_object", "decode"),
        (b'{"batch":[]}', "empty_batch", "split"),
        (b'{"batch":1}', "batch_not_array", "split"),
        (b'{"batch":[],"batch":[]}', "batch_duplicated", "split"),
        (b"{}", "event_not_defined", "validate"),
    ],
)
def test_stage_says_where_an_event_was_rejected(
    value: bytes | None, reason: str, stage: str
) -> None:
    """The stage is the step that rejected the event."""
    headers = reject(value).headers
    assert (headers["dlq.reason"], headers["dlq.stage"]) == (reason, stage)


def test_too_large_results_are_rejected_at_encode() -> None:
    """A result that is too large is rejected at the stage encode."""
    large = good(properties={"x": "y" * 2_000})
    headers = reject(large, limits={"max_output_bytes": 1_024}).headers
    assert (headers["dlq.reason"], headers["dlq.stage"]) == ("enriched_too_large", "encode")
    assert headers["dlq.event"] == "Order Completed"


def test_a_bug_of_ours_is_a_dead_letter() -> None:
    """A record on which the program itself failed keeps its bytes, and its stage is crash."""
    record = raw(b'{"anything":1}', [("x", b"y"), ("dlq.reason", b"forged")])
    dead_letter = dead_letter_of(Processor(ContractSettings(), IDENTITY).crashed(record, NOW))
    assert dead_letter.output.value == record.value
    assert dead_letter.output.reason == dead_letter.headers["dlq.reason"] == "processing_error"
    assert dead_letter.headers["dlq.stage"] == "crash"
    check_dead_letter(dead_letter.output)


@pytest.mark.parametrize("timestamp", [None, 0, -1])
def test_dead_letter_of_a_record_without_timestamp(timestamp: int | None) -> None:
    """No source timestamp is claimed; the dead letter's own is now."""
    dead_letter = reject(raw(b"{}", timestamp=timestamp))
    assert "dlq.source.timestamp" not in dead_letter.headers
    assert dead_letter.output.timestamp == NOW


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ({"name": "analytics-ios", "version": "4.1"}, "analytics-ios/4.1"),
        ({"name": "x" * 300, "version": "1"}, "x" * 200),
        ("analytics.js", None),
        (None, None),
    ],
)
def test_library_is_named_when_readable(library: object, expected: str | None) -> None:
    """The sender's library is shown as `name/version`, truncated to 200 characters."""
    dead_letter = reject(good(event=5, context={"library": library}))
    assert dead_letter.headers.get("dlq.library") == expected


@pytest.mark.parametrize("name", ["x" * 300, "é" * 300, "a€" * 300, "\U0001f6d2" * 300])
def test_long_texts_are_truncated(name: str) -> None:
    """Event and message id have at most 200 characters, truncated between characters."""
    dead_letter = reject(good(userId=..., event=name, messageId=name))
    for fact in ("dlq.event", "dlq.message.id"):
        found = dead_letter.headers[fact]
        assert found
        assert name.startswith(found)
        assert len(found) <= 200


@pytest.mark.parametrize("value", [5, None, [], {"a": 1}])
def test_values_that_are_not_text_have_no_header(value: object) -> None:
    """A value that is not text is not converted to text."""
    dead_letter = reject(good(event=value, userId=..., messageId=[]))
    assert dead_letter.headers.keys().isdisjoint({"dlq.event", "dlq.message.id", "dlq.library"})


def test_at_most_16_reasons_are_listed() -> None:
    """Of more violations the first 16 are listed, in less than 4 KiB."""
    dead_letter = reject(
        {"context": dict.fromkeys(CONTEXT_TYPES, 5)}, rules={"context_field_type": "reject"}
    )
    assert len(dead_letter.reasons) == 16
    check_dead_letter(dead_letter.output)


def test_headers_stay_within_their_limits() -> None:
    """With the longest names and the most reasons the dead letter stays within its limits."""
    wide = "\U0001f6d2" * 300
    context = dict.fromkeys(CONTEXT_TYPES, 5) | {"library": {"name": wide, "version": wide}}
    event = {"event": wide, "messageId": wide, "userId": 5.5, "properties": 5, "context": context}
    record = raw(event, topic="t" * 249, partition=2**31 - 1, offset=2**63 - 1)
    identity = Identity(app=wide, group=wide, replay=wide)
    dead_letter = reject(record, identity=identity, rules={"context_field_type": "reject"})
    assert len(dead_letter.reasons) == 16
    check_dead_letter(dead_letter.output)


def test_headers_do_not_grow() -> None:
    """A dead letter that is fed again and fails again has as many headers as before, each once."""
    for connect in (False, True):
        settings: dict[str, Any] = {
            "dead_letter": {"connect_headers": connect},
            "accept_origin_headers": True,
        }
        first = reject(raw(b"{}", THEIRS), **settings).output
        second = reject(raw(first.value, first.headers), **settings).output
        names = [name for name, _ in first.headers]
        assert sorted(name for name, _ in second.headers) == sorted(names)
        assert len(set(names)) == len(names) - 1  # "trace" occurs twice, as it was sent


def test_pointer_to_a_dead_letter_that_does_not_fit() -> None:
    """The pointer has the coordinates of the raw record, the hash of its value, and our headers."""
    dead_letter = reject(raw(b"{ }", THEIRS))
    pointer = dead_letter_of(pointer_to(dead_letter.output))
    assert json.loads(pointer.output.value or b"") == {
        "dlq.pointer": SOURCE,
        "sha256": hashlib.sha256(b"{ }").hexdigest(),
        "size": 3,
    }
    assert pointer.headers == dead_letter.headers | {"dlq.pointer": "1"}
    assert pointer.output.timestamp == NOW


CONNECT = (
    "topic",
    "partition",
    "offset",
    "connector.name",
    "task.id",
    "stage",
    "class.name",
    "exception.class.name",
    "exception.message",
    "exception.stacktrace",
)


def test_connect_headers_are_written_by_setting() -> None:
    """A setting adds the ten headers of Kafka Connect, with numbers as decimal text."""
    dead_letter = reject(b"{}", dead_letter={"connect_headers": True})
    found = {
        n: (v or b"").decode() for n, v in dead_letter.output.headers if n.startswith("__connect")
    }
    assert set(found) == {f"__connect.errors.{name}" for name in CONNECT}
    assert found["__connect.errors.topic"] == "track.raw"
    assert found["__connect.errors.partition"] == "3"
    assert found["__connect.errors.offset"] == "42"
    assert found["__connect.errors.exception.message"] == dead_letter.reasons[0]["detail"]


def test_no_connect_headers_by_default() -> None:
    """Without the setting there are no headers of Kafka Connect."""
    assert not [n for n, _ in reject(b"{}").output.headers if n.startswith("__connect")]


def test_headers_that_cannot_be_read() -> None:
    """A record with an unreadable header name is a dead letter that keeps its value and key."""
    record = raw(good(), INVALID_HEADERS)
    dead_letter = reject(record)
    assert dead_letter.broken == ["invalid_headers"]
    assert (dead_letter.output.value, dead_letter.output.key) == (record.value, b"key")
    assert all(is_ours(name) for name, _ in dead_letter.output.headers)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.TIMESTAMP_REFUSED, "timestamp_refused"),
        (Reason.RECORD_REFUSED, "record_refused"),
    ],
)
def test_set_aside_for_a_reason_outside_the_rules(reason: Reason, code: str) -> None:
    """A record that the broker refuses is one dead letter, byte for byte and not decoded."""
    value = b'{"batch":[{"event":"A","userId":"u"},{"event":"B","userId":"u"}]}'
    record = Record(value, b"k", [("own", b"1")], 5, "raw", 2, 7)
    contract = Processor(ContractSettings(), Identity(app="a/1"))
    dead_letter = contract.set_aside(record, 9, reason, Stage.PRODUCE, "too late")
    headers = read_headers(dead_letter.headers)
    assert (dead_letter.role, dead_letter.value, dead_letter.key) == (Role.DEAD_LETTER, value, b"k")
    assert (headers["dlq.reason"], headers["dlq.stage"]) == (code, "produce")
    assert headers["dlq.source"] == "raw/2/7"
