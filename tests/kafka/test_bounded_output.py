"""Records from which thousands of outputs are made neither stop the worker nor fill its memory."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from pipeline.core.headers import DlqHeader, TrackHeader
from tests.brokers import RECENT, Sent, Stored, produce, read_topic
from tests.hostile import EVENT
from tests.kafka.test_memory import LIMIT_MB, peak_mb
from tests.kafka.worker_process import Pipeline, terminate

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

RECORDS: Final = 8
ALL_REFUSED: Final = b'{"batch":[' + b",".join([b"1"] * 490_000) + b"]}"
"""One megabyte. Each item would be a dead letter of half a kilobyte."""
ITEMS: Final = 15_000
ALL_WRITTEN: Final = b'{"batch":[' + b",".join([b"1" * 64] * ITEMS) + b"]}"
"""One megabyte from which seven are made: less than `limits.max_batch_output_bytes`."""


def _run(pipeline: Pipeline, value: bytes, **settings: str) -> list[Stored]:
    """Run a worker on eight such records between two good ones; returns the dead letters.

    The good ones are enriched, nothing fails, and memory stays within the limit.
    """
    values = [EVENT, *[value] * RECORDS, EVENT]
    produce(
        pipeline.servers, pipeline.names.raw, [Sent(each, b"u", (), RECENT, 0) for each in values]
    )
    worker = pipeline.start(**settings)
    pipeline.wait_until_done()
    peak = peak_mb(worker.pid)
    assert terminate(worker) == 0
    assert peak < LIMIT_MB
    assert pipeline.lines("recovering") == []
    enriched = read_topic(pipeline.servers, pipeline.names.enriched)
    sources = [dict(each.headers)[TrackHeader.SOURCE] for each in enriched]
    assert sources == [f"{pipeline.names.raw}/0/{n}".encode() for n in (0, 1 + RECORDS)]
    return read_topic(pipeline.servers, pipeline.names.dead_letter)


def test_eight_batches_of_half_a_million_items_are_eight_dead_letters(pipeline: Pipeline) -> None:
    """Each is rejected as a whole, before anything is made of its items."""
    dead_letters = _run(pipeline, ALL_REFUSED)
    headers = [dict(each.headers) for each in dead_letters]
    assert [each[DlqHeader.REASON] for each in headers] == [b"batch_too_large"] * RECORDS
    assert b"490,000 items" in (headers[0][DlqHeader.REASONS] or b"")


def test_eight_batches_whose_outputs_fill_transactions(pipeline: Pipeline) -> None:
    """With a raised limit of items, every item is a dead letter, once and in order."""
    dead_letters = _run(pipeline, ALL_WRITTEN, limits__max_batch_items=str(ITEMS))
    sources = [(dict(each.headers)[DlqHeader.SOURCE] or b"").split(b"/") for each in dead_letters]
    assert [(int(each[2]), int(each[3])) for each in sources] == [
        (record, item) for record in range(1, 1 + RECORDS) for item in range(ITEMS)
    ]
