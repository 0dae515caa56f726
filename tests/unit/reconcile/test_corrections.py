"""A correction run writes only what differs."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Output, Role
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.compare.corrections import (
    Corrections,
    newly_invalid_lines,
    read_kinds,
)
from pipeline.reconcile.compare.difference_store import SavedDifferences
from tests.fake_topics import NAMES, FakeTopics, event
from tests.unit.reconcile.comparing import TOPICS, compared, report_of

TRAITS: Final[dict[str, Any]] = {"context": {"traits": {"plan": "pro"}}}
WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}
EUR: Final[dict[str, Any]] = {"default_currency": "EUR"}
BOTH: Final = frozenset({DifferenceKind.CHANGED, DifferenceKind.NEWLY_VALID})


def _sale(number: int, revenue: Any, **fields: Any) -> bytes:
    return event(number, properties={"revenue": revenue}, **fields)


def _corrections(
    fake: FakeTopics, kinds: frozenset[DifferenceKind] = BOTH, **settings: Any
) -> list[Output]:
    """Return what a correction run under these settings would write in a process of its own."""
    written: list[Output] = []
    with (
        compared(fake, **settings) as (_, difference_store, _),
        SavedDifferences(difference_store.path) as saved,
    ):
        corrections = Corrections(saved, kinds, TOPICS)
        for number in range(fake.partitions):
            for record in fake.topics.get((NAMES.raw, number), ()):
                written += corrections.select(record, fake.outputs(record, **settings))
    return written


def _marks(outputs: list[Output]) -> list[tuple[str, str]]:
    """Return the source of each output, and what it replaces."""
    found = [{name: (sent or b"").decode() for name, sent in each.headers} for each in outputs]
    return [
        (headers[TrackHeader.SOURCE], headers.get(TrackHeader.REPLACES, "")) for headers in found
    ]


def test_only_differences_are_written() -> None:
    """Changed and newly valid events are written with what they replace, and nothing else."""
    fake = FakeTopics()
    fake.clean(event(1), _sale(2, 5), _sale(3, "x"), b"{")
    rules = {**EUR, **WARN}
    assert _marks(_corrections(fake, **rules)) == [
        ("raw/0/1", "enriched/0/1"),
        ("raw/0/2", "dead-letters/0/0"),
    ]
    assert _marks(_corrections(fake, frozenset({DifferenceKind.NEWLY_VALID}), **rules)) == [
        ("raw/0/2", "dead-letters/0/0")
    ]
    assert not _corrections(fake)


def test_applied_corrections_leave_nothing_to_do() -> None:
    """After the corrections are written the topics hold what the rules give."""
    fake = FakeTopics()
    fake.clean(_sale(1, 5), _sale(2, "x"), event(3))
    rules = {**EUR, **WARN}
    for output in _corrections(fake, **rules):
        fake.write(output)
    assert report_of(fake, **rules).same
    assert not _corrections(fake, **rules)


def test_redriven_events_keep_their_repair() -> None:
    """A correction would undo the repair, so redriven events are written only on request."""
    fake = FakeTopics()
    fake.clean(_sale(1, "1,9"), _sale(2, 5))
    (repaired,) = fake.outputs(fake.of_raw(0)._replace(value=_sale(1, 1.9)))
    headers = [*repaired.headers, (TrackHeader.REDRIVE, b"redrive-1")]
    fake.write(repaired._replace(headers=headers))
    rules = {**EUR, **WARN}
    assert _marks(_corrections(fake, **rules)) == [("raw/0/1", "enriched/0/0")]
    asked_for = read_kinds("changed,redriven")
    assert _marks(_corrections(fake, asked_for, **rules)) == [
        ("raw/0/0", "enriched/0/1"),
        ("raw/0/1", "enriched/0/0"),
    ]


def test_missing_event_replaces_nothing() -> None:
    """A missing event has no header of what it replaces."""
    fake = FakeTopics()
    fake.clean(event(1), event(2))
    fake.of(Role.ENRICHED).pop(0)
    assert _marks(_corrections(fake, frozenset({DifferenceKind.MISSING}))) == [("raw/0/0", "")]


def test_identify_messages_go_with_their_events() -> None:
    """Identify messages are written with their events, and replace nothing."""
    fake = FakeTopics(identify=[{"event": "*"}])
    fake.clean(_sale(1, 5, **TRAITS), event(2, **TRAITS))
    written = _corrections(fake, **EUR)
    assert [output.role for output in written] == [Role.ENRICHED, Role.IDENTIFY]
    assert [place for _, place in _marks(written)] == ["enriched/0/0", ""]


def test_copy_is_written_in_place_of_its_original() -> None:
    """Of an original and its repaired copy only the copy is written."""
    fake = FakeTopics(accept_origin_headers=True)
    fake.clean(_sale(1, "x"))
    fake.process(fake.send(_sale(1, 7), headers=[(TrackHeader.ORIGIN, b"raw/0/0")]))
    (written,) = _corrections(fake, **EUR, **WARN)
    assert b'"revenue": 7' in (written.value or b"")


@pytest.mark.parametrize("reveal", [False, True])
def test_newly_invalid_events_are_listed(reveal: bool) -> None:  # noqa: FBT001
    """Lines name the existing output and the reason; personal data is masked unless revealed."""
    fake = FakeTopics(**WARN)
    fake.clean(_sale(1, "x", mail="a@example.com"), event(2))
    with compared(fake, rules={"revenue_invalid": "reject"}) as (_, difference_store, _):
        (written,) = newly_invalid_lines(difference_store, TOPICS, reveal=reveal)
    line = json.loads(written)
    assert (line["source"], line["output"]) == ("raw/0/0", "enriched/0/0")
    assert line["reason"] == "revenue_invalid"
    assert line["masked"] is not reveal
    assert ("a@example.com" in line["value"]) == reveal


def test_unknown_kinds_are_rejected() -> None:
    """An unknown kind is rejected with the known ones."""
    assert read_kinds("changed, newly-valid") == BOTH
    with pytest.raises(
        ValueError, match="'identical' is not one of changed, newly-valid, missing, redriven"
    ):
        read_kinds("changed,identical")
