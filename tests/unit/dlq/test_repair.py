"""Repairs change what they are asked to change, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dlq.builtin_repairs import (
    Fix,
    default_value,
    delete_member,
    repair_of,
    replace_text,
    set_value,
)
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.repair import EventRepair, no_repair
from tests.unit.dlq.dead_letters import dead_letter_of, dead_letters_of, event, raw

BAD_CURRENCY = (
    b'{"event":"Order","userId":"u","n":1.10,"properties":{"revenue":5,"currency":"euro"}}'
)


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        (
            set_value("/properties/currency=EUR"),
            b'{"event":"Order","userId":"u","n":1.10,"properties":{"revenue":5,"currency":"EUR"}}',
        ),
        (
            delete_member("/properties/currency"),
            b'{"event":"Order","userId":"u","n":1.10,"properties":{"revenue":5}}',
        ),
        (
            replace_text("/properties/currency=^eu=EU"),
            b'{"event":"Order","userId":"u","n":1.10,"properties":{"revenue":5,"currency":"EUro"}}',
        ),
    ],
    ids=["set", "delete", "replace"],
)
def test_fixes_change_their_location(fix: Fix, expected: bytes) -> None:
    """A fix changes its location; numbers keep their digits."""
    assert repair_of([fix], everywhere=False).apply(dead_letter_of(BAD_CURRENCY)) == expected


def test_default_fills_a_gap() -> None:
    """A default is set where a member is absent or null, and nowhere else."""
    repair = repair_of([default_value("/properties/currency=EUR")], everywhere=True)
    absent = dead_letter_of({"event": "Order", "properties": {"revenue": 5}})
    assert repair.apply(absent) == (
        b'{"event":"Order","properties":{"revenue":5,"currency":"EUR"}}'
    )
    assert repair.apply(dead_letter_of(BAD_CURRENCY)) == BAD_CURRENCY


def test_fix_needs_a_violation_there() -> None:
    """Valid dollars are not relabelled, unless the fix is to be applied everywhere."""
    value = b'{"event":"Order","properties":{"revenue":5,"currency":"USD"}}'
    dead_letter = dead_letter_of(value)
    fix = set_value("/properties/currency=EUR")
    assert repair_of([fix], everywhere=False).apply(dead_letter) == value
    assert repair_of([fix], everywhere=True).apply(dead_letter) == value.replace(b"USD", b"EUR")


def test_fix_of_an_id_that_is_missing_altogether() -> None:
    """An event without ids is a violation at both ids, though it concerns the whole event."""
    repair = repair_of([default_value("/userId=u")], everywhere=False)
    assert repair.apply(dead_letter_of({"event": "A"})) == b'{"event":"A","userId":"u"}'
    other = b'{"anonymousId":"a","properties":{"revenue":"x"},"event":"A"}'
    assert repair.apply(dead_letter_of(other)) == other


@pytest.mark.parametrize("value", [5, True, None, "a=b", {"a": [1]}])
def test_values_are_json(value: Any) -> None:
    """What parses as JSON is JSON; the rest is text, also with `=` in it."""
    texts = {True: "true", None: "null", "a=b": "a=b", 5: "5"}
    text = '{"a": [1]}' if isinstance(value, dict) else texts[value]
    event_: dict[str, Any] = {}
    set_value(f"/x/y={text}").act(event_)
    assert event_ == {"x": {"y": value}}


@pytest.mark.parametrize("text", ["currency=EUR", "/x", "=", ""])
def test_wrong_fixes_are_errors(text: str) -> None:
    """What is not POINTER=VALUE is an error."""
    with pytest.raises(ValueError, match=r"is not|is no"):
        set_value(text)


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "-Infinity",
        '{"a":NaN}',
        "[1,",
        '"a',
        '"\\ud800"',
        "a\udc80",
    ],
)
def test_values_that_are_no_json(value: str) -> None:
    """What looks like JSON does not become text, and what is not text is an error."""
    for make in (set_value, default_value):
        with pytest.raises(ValueError, match=r"JSON|UTF-8|digits|surrogate|large"):
            make(f"/x={value}")


@pytest.mark.parametrize("number", ["1e99999999999999999999", "9" * 5000, "0.10"])
def test_numbers_of_any_size_are_set(number: str) -> None:
    """A number is written as it was given, also one that Python can't hold."""
    repair = repair_of([set_value(f"/properties/score={number}")], everywhere=True)
    repaired = repair.apply(dead_letter_of(event(userId=None)))
    assert f'"score":{number}}}'.encode() in (repaired or b"")


@pytest.mark.parametrize("value", ['"NaN"', "nan", "EUR", "1,9", "2026-01-01", "", "0x10", "007"])
def test_values_that_are_text(value: str) -> None:
    """All other values are text; in quotes, any value is."""
    event_: dict[str, Any] = {}
    set_value(f"/x={value}").act(event_)
    assert event_ == {"x": value.strip('"')}


def test_wrong_patterns_are_errors() -> None:
    """An invalid regular expression is reported before anything is read."""
    for text in ("/x=(=y", r"/x=a=\1"):
        with pytest.raises(ValueError, match=r"group|\)"):
            replace_text(text)


def test_item_of_a_batch() -> None:
    """A repair gets the item, and the envelope keeps its bytes."""
    seen: list[dict[str, Any]] = []

    def change(item: dict[str, Any], _: DeadLetter) -> dict[str, Any]:
        seen.append(dict(item))
        return {**item, "userId": "u9"}

    envelope = (
        b'{"sentAt":"2026-01-01T00:00:00Z", "x" : 1.0 ,"batch":[{"event":"A"},{"event":"B"}]}'
    )
    first, second = dead_letters_of(raw(envelope))
    repair = EventRepair("r", change)
    assert repair.apply(second) == (
        b'{"sentAt":"2026-01-01T00:00:00Z","x":1.0,"batch":[{"event":"B","userId":"u9"}]}'
    )
    assert seen == [{"event": "B"}]
    assert repair.apply(first) is not None


def test_what_is_not_changed_keeps_its_bytes() -> None:
    """Spaces, order and escapes stay when a repair changes nothing."""
    value = b'{ "event" : "Order", "a": "\\u0041", "n": 1e3 }'
    assert EventRepair("r", lambda event, _: event).apply(dead_letter_of(value)) == value


def test_changing_in_place_and_giving_none() -> None:
    """A transform may change the event in place, or leave the dead letter out."""
    dead_letter = dead_letter_of(event(userId=None))
    assert EventRepair("r", lambda *_: None).apply(dead_letter) is None
    assert dead_letter.event_object == event(userId=None)


def test_no_repair_changes_nothing() -> None:
    """Without a repair a dead letter is tried as it is."""
    assert no_repair().apply(dead_letter_of(b"{ }")) == b"{ }"
    assert no_repair().name == ""
