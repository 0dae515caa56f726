"""Whether the demo's outputs add up: the check must be able to fail."""

from __future__ import annotations

import pytest

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record
from pipeline.demo.check import examine

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


DEAD_LETTER = Record(b"{", None, HEADERS, 1, "dead", 0, 0)


def test_each_event_has_one_outcome() -> None:
    """Two events with two outcomes add up."""
    findings = examine(2, _enriched("t/0/0"), [DEAD_LETTER])
    assert findings.adds_up
    assert findings.dead_letters == {"invalid_json": 1}


@pytest.mark.parametrize(
    ("events", "sources", "missing", "duplicated"),
    [
        (3, ("t/0/0",), 1, 0),
        (2, ("t/0/0", "t/0/0"), 0, 1),
        (3, ("t/0/0", "t/0/0"), 1, 1),
        (2, ("t/0/1",), 1, 1),
    ],
)
def test_missing_and_duplicated_events_are_told_apart(
    events: int, sources: tuple[str, ...], missing: int, duplicated: int
) -> None:
    """Both are counted, even where the sum is right."""
    findings = examine(events, _enriched(*sources), [DEAD_LETTER])
    assert not findings.adds_up
    assert (findings.missing, findings.duplicated) == (missing, duplicated)
