"""`track-pipeline demo`: what a newcomer sees first; and its proof, which must be able to fail."""

from __future__ import annotations

import re

import pytest

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record
from pipeline.demo.check import examine
from tests.unit.cli.program import run_process

HEADERS = [
    (DlqHeader.SOURCE, b"t/0/1"),
    (DlqHeader.REASON, b"invalid_json"),
    (DlqHeader.REASONS, b"[]"),
]


def _enriched(*sources: str) -> list[Record]:
    return [
        Record(b"{}", None, [(TrackHeader.SOURCE, source.encode())], 1, "enriched", 0, offset)
        for offset, source in enumerate(sources)
    ]


LETTER = Record(b"{", None, HEADERS, 1, "letters", 0, 0)


def test_what_adds_up() -> None:
    """Two events with two outcomes."""
    findings = examine(2, _enriched("t/0/0"), [LETTER])
    assert findings.adds_up
    assert findings.dead_letters == {"invalid_json": 1}


@pytest.mark.parametrize(
    ("events", "sources", "lost", "doubled"),
    [
        (3, ("t/0/0",), 1, 0),
        (2, ("t/0/0", "t/0/0"), 0, 1),
        (3, ("t/0/0", "t/0/0"), 1, 1),
        (2, ("t/0/1",), 1, 1),
    ],
)
def test_what_does_not(events: int, sources: tuple[str, ...], lost: int, doubled: int) -> None:
    """A lost and a doubled event are told apart, even where the sum is right."""
    findings = examine(events, _enriched(*sources), [LETTER])
    assert not findings.adds_up
    assert (findings.lost, findings.doubled) == (lost, doubled)


@pytest.mark.kafka
def test_demo() -> None:
    """A real Kafka, the real worker, counts that add up, and no terminal codes in a pipe."""
    ran = run_process("demo", "--records", "300")
    assert ran.code == 0, ran.err
    out = ran.out.decode()
    assert "\x1b" not in out
    said = re.search(r"(\d+) events = (\d+) enriched \+ (\d+) dead letters; lost 0, doubled 0", out)
    assert said is not None, out
    events, enriched, letters = map(int, said.groups())
    assert events == enriched + letters
    assert letters
    for title in ("three enriched events", "dead letters by reason", "what to try next"):
        assert title in out
