"""A correction run writes only what differs."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Output, Role
from pipeline.reconcile.compare.classify import Kind
from pipeline.reconcile.compare.corrections import Corrections, newly_invalid_lines, read_only
from pipeline.reconcile.compare.difference_store import SavedVerdicts
from tests.forged_headers import NAMES, Forged, event
from tests.unit.replay.comparing import TOPICS, compared, report_of

TRAITS: Final[dict[str, Any]] = {"context": {"traits": {"plan": "pro"}}}
WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}
EUR: Final[dict[str, Any]] = {"default_currency": "EUR"}
BOTH: Final = frozenset({Kind.CHANGED, Kind.NEWLY_VALID})


def _sale(number: int, revenue: Any, **fields: Any) -> bytes:
    return event(number, properties={"revenue": revenue}, **fields)


def _corrections(forged: Forged, kinds: frozenset[Kind] = BOTH, **settings: Any) -> list[Output]:
    """What a correction run under these settings would write, in a process of its own."""
    written: list[Output] = []
    with compared(forged, **settings) as (_, verdicts, _), SavedVerdicts(verdicts.path) as saved:
        corrections = Corrections(saved, kinds, TOPICS)
        for number in range(forged.partitions):
            for record in forged.topics.get((NAMES.raw, number), ()):
                written += corrections.of(record, forged.outputs(record, **settings))
    return written


def _marks(outputs: list[Output]) -> list[tuple[str, str]]:
    """Source, and what it replaces."""
    found = [{name: (sent or b"").decode() for name, sent in each.headers} for each in outputs]
    return [
        (headers[TrackHeader.SOURCE], headers.get(TrackHeader.REPLACES, "")) for headers in found
    ]


def test_only_what_differs() -> None:
    """Changed and newly valid events with what they replace; nothing of the rest."""
    forged = Forged()
    forged.clean(event(1), _sale(2, 5), _sale(3, "x"), b"{")
    rules = {**EUR, **WARN}
    assert _marks(_corrections(forged, **rules)) == [
        ("raw/0/1", "enriched/0/1"),
        ("raw/0/2", "letters/0/0"),
    ]
    assert _marks(_corrections(forged, frozenset({Kind.NEWLY_VALID}), **rules)) == [
        ("raw/0/2", "letters/0/0")
    ]
    assert not _corrections(forged)


def test_applied_corrections_leave_nothing_to_do() -> None:
    """What they give, written behind what is there, is what the rules give."""
    forged = Forged()
    forged.clean(_sale(1, 5), _sale(2, "x"), event(3))
    rules = {**EUR, **WARN}
    for output in _corrections(forged, **rules):
        forged.write(output)
    assert report_of(forged, **rules).same
    assert not _corrections(forged, **rules)


def test_redriven_events_keep_their_repair() -> None:
    """A correction would take the repair back: only who asks for them gets them."""
    forged = Forged()
    forged.clean(_sale(1, "1,9"), _sale(2, 5))
    (repaired,) = forged.outputs(forged.of_raw(0)._replace(value=_sale(1, 1.9)))
    headers = [*repaired.headers, (TrackHeader.REDRIVE, b"redrive-1")]
    forged.write(repaired._replace(headers=headers))
    rules = {**EUR, **WARN}
    assert _marks(_corrections(forged, **rules)) == [("raw/0/1", "enriched/0/0")]
    asked_for = read_only("changed,redriven")
    assert _marks(_corrections(forged, asked_for, **rules)) == [
        ("raw/0/0", "enriched/0/1"),
        ("raw/0/1", "enriched/0/0"),
    ]


def test_missing() -> None:
    """It replaces nothing."""
    forged = Forged()
    forged.clean(event(1), event(2))
    forged.of(Role.ENRICHED).pop(0)
    assert _marks(_corrections(forged, frozenset({Kind.MISSING}))) == [("raw/0/0", "")]


def test_identify_messages() -> None:
    """They go with their events, and replace nothing."""
    forged = Forged(identify=[{"event": "*"}])
    forged.clean(_sale(1, 5, **TRAITS), event(2, **TRAITS))
    written = _corrections(forged, **EUR)
    assert [output.role for output in written] == [Role.ENRICHED, Role.IDENTIFY]
    assert [place for _, place in _marks(written)] == ["enriched/0/0", ""]


def test_copies() -> None:
    """Of an original and its repaired copy one is written, the copy."""
    forged = Forged(accept_origin_headers=True)
    forged.clean(_sale(1, "x"))
    forged.process(forged.send(_sale(1, 7), headers=[(TrackHeader.ORIGIN, b"raw/0/0")]))
    (written,) = _corrections(forged, **EUR, **WARN)
    assert b'"revenue":7' in (written.value or b"")


@pytest.mark.parametrize("reveal", [False, True])
def test_newly_invalid(reveal: bool) -> None:  # noqa: FBT001
    """Lines that say what is there and why it is refused; personal data only when asked for."""
    forged = Forged(**WARN)
    forged.clean(_sale(1, "x", mail="a@example.com"), event(2))
    with compared(forged, rules={"revenue_invalid": "reject"}) as (_, verdicts, _):
        (written,) = newly_invalid_lines(verdicts, TOPICS, reveal=reveal)
    line = json.loads(written)
    assert (line["source"], line["there"]) == ("raw/0/0", "enriched/0/0")
    assert line["reason"] == "revenue_invalid"
    assert line["masked"] is not reveal
    assert ("a@example.com" in line["value"]) == reveal


def test_kinds_are_named() -> None:
    """Unknown ones are refused with those that are known."""
    assert read_only("changed, newly-valid") == BOTH
    with pytest.raises(
        ValueError, match="'identical' is none of changed, newly-valid, missing, redriven"
    ):
        read_only("changed,identical")
