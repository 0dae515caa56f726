"""A raw record and its copies: a replay writes the last one."""

from __future__ import annotations

import json
from typing import Final

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import TrackHeader
from pipeline.core.record import Headers, Output, Record, Role
from pipeline.reconcile.event_filters import EVERY_EVENT, OutputSelectingProcessor, source_of
from pipeline.replay.raw_copies import COPIED, Copies, LastCopies
from tests.fake_topics import event

CONTRACT: Final = ContractSettings(accept_origin_headers=True)


def _record(offset: int, value: bytes, origin: str = "", time: int = 0) -> Record:
    headers: Headers = [(TrackHeader.ORIGIN, origin.encode())] if origin else ()
    return Record(value, b"k", headers, time or offset, "raw", 0, offset)


def _batch(*items: bytes) -> bytes:
    return json.dumps({"batch": [json.loads(item) for item in items]}).encode()


def _written(*records: Record) -> list[tuple[int, str, str]]:
    """Offset, source and role or reason of what a replay makes of the records."""
    with Copies() as copies:
        copies.note(records)
        copies.save()
        with LastCopies(copies.path) as last:
            processor = OutputSelectingProcessor(CONTRACT, Identity(app="t"), EVERY_EVENT, last)
            made = [(each, processor.process(each, 1)) for each in records]
    return [
        (record.offset, source_of(output).decode(), _role(output))
        for record, outputs in made
        for output in outputs
    ]


def _role(output: Output) -> str:
    return output.reason if output.role is Role.DROPPED else output.role.value


GOOD: Final = event(1)
OTHER: Final = event(2)
BAD: Final = b"{}"


@pytest.mark.parametrize(
    ("records", "written"),
    [
        pytest.param(
            [_record(0, GOOD), _record(1, OTHER)],
            [(0, "raw/0/0", "enriched"), (1, "raw/0/1", "enriched")],
            id="no copies",
        ),
        pytest.param(
            [_record(0, GOOD), _record(1, GOOD, "raw/0/0")],
            [(0, "raw/0/0", COPIED), (1, "raw/0/0", "enriched")],
            id="both would pass",
        ),
        pytest.param(
            [_record(0, BAD), _record(1, BAD, "raw/0/0"), _record(2, GOOD, "raw/0/0")],
            [(0, "raw/0/0", COPIED), (1, "raw/0/0", COPIED), (2, "raw/0/0", "enriched")],
            id="the last of several",
        ),
        pytest.param(
            [_record(0, GOOD, "raw/2/7", time=9), _record(1, GOOD, "raw/2/7", time=8)],
            [(0, "raw/2/7", "enriched"), (1, "raw/2/7", COPIED)],
            id="last by time; the original is not of this window",
        ),
        pytest.param(
            [_record(0, _batch(GOOD, BAD, OTHER)), _record(1, GOOD, "raw/0/0/1")],
            [
                (0, "raw/0/0/0", "enriched"),
                (0, "raw/0/0/1", COPIED),
                (0, "raw/0/0/2", "enriched"),
                (1, "raw/0/0/1", "enriched"),
            ],
            id="an item",
        ),
        pytest.param(
            [_record(0, _batch(GOOD, OTHER)), _record(1, _batch(GOOD, OTHER), "raw/0/0")],
            [
                (0, "raw/0/0/0", COPIED),
                (0, "raw/0/0/1", COPIED),
                (1, "raw/0/0/0", "enriched"),
                (1, "raw/0/0/1", "enriched"),
            ],
            id="an envelope",
        ),
        pytest.param(
            [_record(0, GOOD), _record(1, GOOD, "raw/0/0x"), _record(2, GOOD, "raw/0/2")],
            [
                (0, "raw/0/0", "enriched"),
                (1, "raw/0/1", "enriched"),
                (2, "raw/0/2", "enriched"),
            ],
            id="no origin, and its own",
        ),
    ],
)
def test_last_copy_of_an_event_is_written(
    records: list[Record], written: list[tuple[int, str, str]]
) -> None:
    """Of all records of one event the last is written, the others are counted as copied."""
    assert _written(*records) == written
