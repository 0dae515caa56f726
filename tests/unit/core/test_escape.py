"""Text that is safe to look at: what is escaped, what stays, and that JSON stays what it was."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.escape import escaped, long_json, one_line, short_json

CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's: control, format, surrogate, private, unassigned, line and paragraph separator."""


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([*range(10), *range(11, 32), 127, *range(128, 160)], id="control"),
        pytest.param(range(0x202A, 0x202F), id="embedding_and_override"),
        pytest.param(range(0x2066, 0x206A), id="isolate"),
        pytest.param([0x200E, 0x200F, 0x061C], id="direction_mark"),
        pytest.param([0x2028, 0x2029], id="separator"),
        pytest.param([0x200B, 0x200D, 0xFEFF, 0x00AD], id="invisible"),
        pytest.param([0xD800, 0xDCFF], id="lone_surrogate"),
    ],
)
def test_unprintable_characters_are_escaped(numbers: range | list[int]) -> None:
    """Each character that could steer a terminal is shown as its JSON escape."""
    for number in numbers:
        assert escaped(f"a{chr(number)}b") == f"a\\u{number:04x}b"


def test_characters_of_two_code_units_have_two_escapes() -> None:
    """Such a character is shown as two escapes, as in JSON."""
    assert escaped("\U000e0041") == "\\udb40\\udc41"
    assert json.loads(f'"{escaped(chr(0xE0041))}"') == "\U000e0041"


@pytest.mark.parametrize("text", ["", "Größe 10 €", "注文 完了", "שלום", "\U0001f600", "a\nb"])
def test_printable_text_is_kept(text: str) -> None:
    """Text of any script is kept, and so are line feeds, unless the text must be on one line."""
    assert escaped(text) == text
    assert one_line(text) == text.replace("\n", "\\n")


@given(st.text(st.characters()))
def test_no_text_can_steer_a_terminal(text: str) -> None:
    """No text gives characters that could steer a terminal or end a line."""
    line = one_line(text)
    assert not {unicodedata.category(character) for character in line} & CATEGORIES
    assert len(line.splitlines()) <= 1
    assert escaped(escaped(text)) == escaped(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_stays_the_same_json(value: object) -> None:
    """The escapes are those of JSON, so that the escaped text is the same JSON."""
    assert json.loads(short_json(value, 1_000_000)) == value
    assert json.loads(long_json(json.dumps(value).encode())) == value
    assert len(short_json(value, 3)) <= 4
