"""A record that the broker refuses is found and dead-lettered; all others are written."""

from __future__ import annotations

import json
import random
import time
from typing import Final

import pytest

from pipeline.core.headers import DlqHeader
from tests.brokers import RECENT, Sent, Stored, produce, read_topic, set_topic_config
from tests.kafka.worker_process import Pipeline

pytestmark = pytest.mark.kafka

EVENTS: Final = 200
CULPRIT: Final = 120
SMALL_LIMIT: Final = "4000"
FILLER: Final = random.Random(1).randbytes(6000).hex()  # noqa: S311  no secret
"""The broker's limit is for compressed batches."""


def _event(number: int, **more: object) -> bytes:
    return json.dumps({"event": "Seen", "userId": f"u{number}", "properties": more}).encode()


def _of_culprit(pipeline: Pipeline) -> tuple[list[Stored], list[Stored]]:
    """The dead letters, and the enriched events."""
    names, servers = pipeline.names, pipeline.servers
    return read_topic(servers, names.dead_letter), read_topic(servers, names.enriched)


def _started(pipeline: Pipeline, delivery: str) -> None:
    """A worker that has checked its topics and commits."""
    pipeline.start(delivery=delivery)
    produce(pipeline.servers, pipeline.names.raw, [Sent(_event(0), None, (), RECENT, 0)])
    pipeline.wait_until_done()


DELIVERIES: Final = ("exactly-once", "at-least-once")


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_output_topic_takes_less_than_before(pipeline: Pipeline, delivery: str) -> None:
    """An event that became too large for its topic is a dead letter that says so; no other is."""
    _started(pipeline, delivery)
    set_topic_config(pipeline.servers, pipeline.names.enriched, "max.message.bytes", SMALL_LIMIT)
    values = [_event(n, filler=FILLER if n == CULPRIT else "") for n in range(EVENTS)]
    produce(pipeline.servers, pipeline.names.raw, [Sent(v, None, (), RECENT, 0) for v in values])
    pipeline.wait_until_done()
    (dead_letter,), enriched = _of_culprit(pipeline)
    headers = dict(dead_letter.headers)
    assert dead_letter.value == values[CULPRIT]
    assert (headers[DlqHeader.REASON], headers[DlqHeader.STAGE]) == (
        b"enriched_too_large",
        b"produce",
    )
    _all_but(enriched, CULPRIT, delivery)


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_output_topic_refuses_a_timestamp(pipeline: Pipeline, delivery: str) -> None:
    """A record from the future is a dead letter where the output topic does not take its time."""
    _started(pipeline, delivery)
    limit = "message.timestamp.after.max.ms"
    set_topic_config(pipeline.servers, pipeline.names.enriched, limit, "3600000")
    soon = int(time.time() * 1000) + 7_200_000
    set_topic_config(pipeline.servers, pipeline.names.raw, limit, str(2**62))
    produce(
        pipeline.servers,
        pipeline.names.raw,
        [Sent(_event(n), None, (), soon if n == CULPRIT else RECENT, 0) for n in range(EVENTS)],
    )
    pipeline.wait_until_done()
    (dead_letter,), enriched = _of_culprit(pipeline)
    headers = dict(dead_letter.headers)
    assert (headers[DlqHeader.REASON], headers[DlqHeader.STAGE]) == (
        b"timestamp_refused",
        b"produce",
    )
    assert headers[DlqHeader.SOURCE_TIMESTAMP] == str(soon).encode()
    _all_but(enriched, CULPRIT, delivery)


def test_output_topic_refuses_several_timestamps(pipeline: Pipeline) -> None:
    """Of several refused records in one batch each one is a dead letter; all others are written."""
    _started(pipeline, "exactly-once")
    limit = "message.timestamp.after.max.ms"
    set_topic_config(pipeline.servers, pipeline.names.enriched, limit, "3600000")
    set_topic_config(pipeline.servers, pipeline.names.raw, limit, str(2**62))
    soon = int(time.time() * 1000) + 7_200_000
    culprits = {CULPRIT, CULPRIT + 1}
    produce(
        pipeline.servers,
        pipeline.names.raw,
        [Sent(_event(n), None, (), soon if n in culprits else RECENT, 0) for n in range(EVENTS)],
    )
    pipeline.wait_until_done()
    dead_letters, enriched = _of_culprit(pipeline)
    assert [dict(each.headers)[DlqHeader.REASON] for each in dead_letters] == [
        b"timestamp_refused"
    ] * 2
    users = [int(json.loads(each.value or b"")["userId"][1:]) for each in enriched]
    assert users == [0, *(number for number in range(EVENTS) if number not in culprits)]


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_output_topic_wants_keys(pipeline: Pipeline, delivery: str) -> None:
    """A record that the broker refuses by a rule of the topic is a dead letter that says so."""
    _started(pipeline, delivery)
    set_topic_config(pipeline.servers, pipeline.names.enriched, "cleanup.policy", "compact")
    keys = [None if n == CULPRIT else f"k{n}".encode() for n in range(EVENTS)]
    sent = [Sent(_event(n), key, (), RECENT, 0) for n, key in enumerate(keys)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    pipeline.wait_until_done()
    (dead_letter,), enriched = _of_culprit(pipeline)
    headers = dict(dead_letter.headers)
    assert (headers[DlqHeader.REASON], headers[DlqHeader.STAGE]) == (b"record_refused", b"produce")
    assert b"the topic may require keys" in (headers[DlqHeader.REASONS] or b"")
    _all_but(enriched, CULPRIT, delivery)


def test_dead_letter_topic_takes_less_than_before(pipeline: Pipeline) -> None:
    """A dead letter that became too large leaves a pointer, which keeps the reasons."""
    _started(pipeline, "exactly-once")
    topic = pipeline.names.dead_letter
    set_topic_config(pipeline.servers, topic, "max.message.bytes", SMALL_LIMIT)
    values = [_event(n, revenue=FILLER) if n == CULPRIT else _event(n) for n in range(EVENTS)]
    produce(pipeline.servers, pipeline.names.raw, [Sent(v, None, (), RECENT, 0) for v in values])
    pipeline.wait_until_done()
    (dead_letter,), enriched = _of_culprit(pipeline)
    headers = dict(dead_letter.headers)
    assert (headers[DlqHeader.REASON], headers[DlqHeader.POINTER]) == (b"revenue_invalid", b"1")
    assert json.loads(dead_letter.value or b"")["size"] == len(values[CULPRIT])
    _all_but(enriched, CULPRIT, "exactly-once")


def _all_but(enriched: list[Stored], culprit: int, delivery: str) -> None:
    """Every event but one: once, or at least once; in order where it is exactly once."""
    users = [int(json.loads(each.value or b"")["userId"][1:]) for each in enriched]
    wanted = [0, *(number for number in range(EVENTS) if number != culprit)]
    if delivery == "at-least-once":
        assert set(users) == set(wanted)
    else:
        assert users == wanted
