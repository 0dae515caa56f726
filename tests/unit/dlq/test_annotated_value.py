"""A value with its violations beside their locations."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.cli.dlq.annotated_value import AnnotatedLine, annotated_value
from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_dead_letter
from tests.unit.dlq.dead_letters import NOW, dead_letter_of, dead_letters_of, event, raw


def _lines(dead_letter: DeadLetter, *, reveal: bool = True) -> list[AnnotatedLine]:
    return annotated_value(dead_letter, reveal=reveal, as_json=True)


def _text(lines: list[AnnotatedLine]) -> str:
    return "\n".join(line.text for line in lines)


def _noted(lines: list[AnnotatedLine]) -> dict[str, tuple[str, ...]]:
    return {line.text.strip(): line.notes for line in lines if line.notes}


def test_json_is_indented() -> None:
    """Numbers keep their digits, empty objects stay in one line, and nothing else is marked."""
    value = b'{"event":"A","n":1.10,"a":[{},[],"x",{"b":null}],"userId":true,"anonymousId":"a"}'
    assert _lines(dead_letter_of(value)) == [
        AnnotatedLine("{"),
        AnnotatedLine('  "event": "A",'),
        AnnotatedLine('  "n": 1.10,'),
        AnnotatedLine('  "a": ['),
        AnnotatedLine("    {},"),
        AnnotatedLine("    [],"),
        AnnotatedLine('    "x",'),
        AnnotatedLine("    {"),
        AnnotatedLine('      "b": null'),
        AnnotatedLine("    }"),
        AnnotatedLine("  ],"),
        AnnotatedLine('  "userId": true,', ("id_not_string",)),
        AnnotatedLine('  "anonymousId": "a"'),
        AnnotatedLine("}"),
    ]


@pytest.mark.parametrize(
    ("value", "noted"),
    [
        (
            event(properties={"products": [{"revenue": 1}], "revenue": "x"}, revenue=3),
            {'"revenue": "x"': ("revenue_invalid",)},
        ),
        (event(event=None), {'"event": null,': ("event_not_defined",)}),
        ({"userId": "u"}, {"{": ("event_not_defined /event",)}),
        ({"event": "A"}, {"{": ("no_user_anon_id",)}),
        ({}, {"{}": ("event_not_defined /event", "no_user_anon_id")}),
        (event(context=[1]), {'"context": [': ("context_not_object",)}),
        (
            {"batch": [event(properties=5)], "properties": 6},
            {'"properties": 5': ("properties_not_object",)},
        ),
        ({"batch": [{"event": "A"}]}, {"{": ("no_user_anon_id",)}),
        ({"batch": [event()], "context": 5}, {'"context": 5': ("context_not_object",)}),
        ({"batch": 7}, {"{": ("batch_not_array",)}),
        ([1], {"[": ("not_an_object",)}),
    ],
)
def test_violations_are_marked(value: Any, noted: dict[str, tuple[str, ...]]) -> None:
    """A violation is marked at its own location, and a missing member at its object."""
    assert _noted(_lines(dead_letter_of(value))) == noted


def test_item_without_a_name_is_marked_in_its_envelope() -> None:
    """The brace of the item has the note, not that of the envelope."""
    (dead_letter,) = dead_letters_of(raw({"batch": [{"event": "A"}]}))
    assert [line.text for line in _lines(dead_letter) if line.notes] == ["    {"]


def test_names_with_slashes() -> None:
    """Names of members are escaped in pointers."""
    headers = [
        (DlqHeader.REASON, b"x"),
        (DlqHeader.REASONS, b'[{"code":"x","pointer":"/a~1b/~0","detail":""}]'),
    ]
    record = Record(b'{"a/b":{"~":1},"a":{"b":2}}', None, headers, NOW, "dead", 0, 0)
    assert _noted(_lines(read_dead_letter(record))) == {'"~": 1': ("x",)}


@pytest.mark.parametrize(
    "pointer", ["no pointer", "/a/b/c", "/event/x", "/event/~2", f"/l/{'1' * 5000}", "/l/00"]
)
def test_pointers_that_lead_nowhere(pointer: str) -> None:
    """Whatever a foreign header contains as a pointer, the value is shown."""
    headers = [
        (DlqHeader.REASON, b"x"),
        (DlqHeader.REASONS, b'[{"code":"x","pointer":"%s","detail":""}]' % pointer.encode()),
    ]
    value = b'{"event":"A","l":[1]}'
    lines = _lines(read_dead_letter(Record(value, None, headers, NOW, "dead", 0, 0)))
    assert [line.notes for line in lines if line.notes] == [(f"x {pointer}",)]


def test_personal_data_is_masked() -> None:
    """Personal data is hidden in JSON and in text, unless it is to be revealed."""
    dead_letters = [
        dead_letter_of({"event": "A", "traits": {"name": "Ann"}, "context": {"ip": "10.0.0.1"}}),
        dead_letter_of(b"{'traits': {'name': 'Ann'}, 'ip': '10.0.0.1'}"),
        dead_letter_of(b'{"traits":{"name":"Ann \xff"},"ip":"10.0.0.1"}'),
    ]
    for dead_letter in dead_letters:
        hidden = _text(_lines(dead_letter, reveal=False))
        assert "Ann" not in hidden
        assert "10.0.0.1" not in hidden
    assert "Ann" in _text(_lines(dead_letters[0]))
    assert "10.0.0.1" in _text(_lines(dead_letters[1]))


def test_position_in_broken_text() -> None:
    """The position where reading stopped is shown with its surroundings, above the whole text."""
    value = '{"event":"抹茶","x":'.encode() + b"NaN}"
    lines = _lines(dead_letter_of(value))
    assert lines[0].text == '{"event":"抹茶","x":NaN}'
    assert lines[1] == AnnotatedLine(" " * 20 + "▲", ("byte 22",))
    assert lines[2].text == lines[0].text
    assert len(lines) == 3


def test_position_in_long_text() -> None:
    """Only the surroundings of the position are shown, and the text is cut."""
    value = b'{"a":"' + b"x" * 9000 + b'",NaN}' + b" " * 100 + b"y"
    place, caret, text, rest = _lines(dead_letter_of(value))
    assert place.text.startswith("…xxx")
    assert place.text.endswith("…")
    assert place.text[caret.text.index("▲")] == "N"
    assert len(text.text) == 4000
    assert rest.text == "… and 5,113 more characters (--raw writes all)"


def test_bytes_are_hexadecimal() -> None:
    """Bytes are hexadecimal, with the line of the bad one marked; UTF-16 text is not shown."""
    value = b"0123456789abcdef" * 40 + b"\xff" + b"x" * 400
    first, *middle, last = _lines(dead_letter_of(value))
    assert first.text == "… 384 bytes before"
    assert [line.text[:6] for line in middle if line.notes] == ["000280"]
    assert middle[0].text == (
        "000180  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef"
    )
    assert last.text == "… and 145 more bytes (--raw writes all)"
    wide = dead_letter_of('{"event":"Ann"}'.encode("utf-16"))
    assert _lines(wide, reveal=False) == [
        AnnotatedLine("(32 bytes that are not UTF-8 text; --reveal shows them)")
    ]


def test_absent_and_empty_values() -> None:
    """An absent value and an empty one are told apart."""
    assert _lines(dead_letter_of(b"")) == [AnnotatedLine("(no bytes)")]
    (dead_letter,) = dead_letters_of(raw(b"")._replace(value=None))
    assert _lines(dead_letter) == [AnnotatedLine("(no value)")]


def test_not_decoded_when_that_may_kill() -> None:
    """As text, a value is shown and masked without being decoded."""
    dead_letter = dead_letter_of(b'{"event":"A","traits":{"name":"Ann"}}')
    (line,) = annotated_value(dead_letter, reveal=False, as_json=False)
    assert line == AnnotatedLine('{"event":"A","traits":***}')


def test_control_characters_are_escaped() -> None:
    """No value can control the terminal."""
    for value in (
        {"event": "\x1b[2J\u202e", "\x1b": 1},
        b"{\x1b[2J\xe2\x80\xae\n",
        b"\x1b[2J\xff",
    ):
        assert all(line.text.isprintable() for line in _lines(dead_letter_of(value)))
