"""Every hostile payload has the outcome that its row names, and nothing else happens."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.record import Role
from tests.hostile import FORGED, HOSTILE, OTHERS, UNDER_LIMITS, Hostile, with_property
from tests.support import enrich, outcomes, process, raw, read, reject
from tests.unit.core.invariants import check_outputs


def _name(row: Hostile) -> str:
    return row.name


@pytest.mark.parametrize("row", [*HOSTILE, *UNDER_LIMITS], ids=_name)
def test_hostile_payloads_have_their_outcomes(row: Hostile) -> None:
    """Each event has one well-formed outcome, in order, and the same when it is repeated."""
    record = raw(row.value, row.headers)
    outputs = process(record, **row.settings)
    assert outcomes(outputs) == row.outcomes
    check_outputs(record, outputs)
    assert expected_outcomes(record.value, outputs) == len(row.outcomes)
    assert process(record, **row.settings) == outputs


@pytest.mark.parametrize(
    "row", [r for r in (*HOSTILE, *UNDER_LIMITS) if len(r.outcomes) == 1], ids=_name
)
def test_dead_letters_keep_the_bytes(row: Hostile) -> None:
    """The dead letter of a whole record holds its value byte for byte, null included."""
    record = raw(row.value, row.headers)
    for output in process(record, **row.settings):
        if output.role is Role.DEAD_LETTER:
            assert output.value == record.value


def test_names_are_unique() -> None:
    """A row is named once in both tables together."""
    names = Counter(row.name for row in (*HOSTILE, *UNDER_LIMITS))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "text",
    [
        '"שלום \u202eevil\u202c"',
        '"e\u0301 Z\u0351\u036b"',
        '"\u200bx\u200d"',
        '"a\\u0000b"',
        '"\\ud83d\\ude00"',
        '"\uffff\u2028"',
        '{"\\u0000":1}',
        '""',
    ],
)
def test_odd_text_is_kept(text: str) -> None:
    """Text of a free property is the same text in the output: nothing is normalised or cut."""
    event = enrich(with_property(text.encode()))
    assert event["properties"]["free"] == read(text, int)


def test_duplicate_keys_last_wins() -> None:
    """Of two equal keys the last one counts, at the top level and below it."""
    event = enrich(b'{"event":"a","event":"b","userId":"u","properties":{"x":1,"x":2}}')
    assert event["event"] == "b"
    assert event["properties"] == {"x": 2}


def test_bom_moves_the_position() -> None:
    """The position in an invalid_json detail counts from the record's first byte."""
    with_bom = reject(b'\xef\xbb\xbf{"event":x}').reasons[0]["detail"]
    assert "byte 12" in with_bom
    assert "byte 9" in reject(b'{"event":x}').reasons[0]["detail"]


def test_forged_headers_are_replaced() -> None:
    """Headers in our name never get through; the sender's own stay, in order."""
    for value in (b'{"event":"e","userId":"u"}', b"{}"):
        (output,) = process(raw(value, (*FORGED, *OTHERS)))
        ours = [text for name, text in output.headers if name.startswith(("track.", "dlq."))]
        assert not any(b"forged" in (text or b"") or b"other/9" in (text or b"") for text in ours)
        assert tuple(output.headers)[: len(OTHERS)] == OTHERS
