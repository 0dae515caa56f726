"""Every test says what it holds: a docstring that begins with a sentence, a name of several words.

The sentence must be readable alone, in a list of failures: it does not begin with a word that only
the test's name explains. The name is not a heading such as `test_batches`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
FEWEST_WORDS: Final = 3
BEGINNING: Final = re.compile(r'[A-Z0-9`"]')
REFERS_BACK: Final = re.compile(
    r"(It|Its|They|Their|Them|This|That|These|Those|So|And|But|Or|Also|Not|Even|The same)\b"
)


def _tests(source: str) -> Iterator[tuple[str, str]]:
    """Yield name and first line (up to the first blank one) of each test function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            docstring = ast.get_docstring(node) or ""
            yield node.name, " ".join(docstring.partition("\n\n")[0].split())


def _is_sentence(text: str) -> bool:
    return (
        BEGINNING.match(text) is not None
        and text.endswith(".")
        and len(text.split()) >= FEWEST_WORDS
    )


def _refers_back(text: str) -> bool:
    return REFERS_BACK.match(text) is not None


def _is_heading(name: str) -> bool:
    return len(name.split("_")[1:]) < FEWEST_WORDS


def _where() -> Iterator[tuple[str, str, str]]:
    """Yield file, name and first line of every test."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, text in _tests(path.read_text(encoding="utf-8")):
            yield path.relative_to(TESTS).as_posix(), name, text


def test_each_docstring_begins_with_a_sentence() -> None:
    """The first line has a capital, at least three words and a full stop."""
    assert [found for found in _where() if not _is_sentence(found[2])] == []


def test_each_docstring_can_be_read_without_the_name() -> None:
    """No first line begins with a pronoun or a conjunction that refers to the name."""
    assert [found for found in _where() if _refers_back(found[2])] == []


def test_each_name_says_more_than_a_heading() -> None:
    """A name has at least three words behind `test_`."""
    assert [found for found in _where() if _is_heading(found[1])] == []


@pytest.mark.parametrize(
    ("source", "is_sentence", "refers_back", "is_heading"),
    [
        ('def test_a_cut_resets_connections(): """A cut resets all."""', True, False, False),
        ('def test_a_cut_resets_connections():\n """A cut\n resets."""', True, False, False),
        ('def test_a_cut_resets_connections(): """`cut` resets."""', False, False, False),
        ('def test_a_cut_resets_connections(): """a cut resets."""', False, False, False),
        ('def test_a_cut_resets_connections(): """A cut resets"""', False, False, False),
        ("def test_a_cut_resets_connections(): pass", False, False, False),
        ('def test_cut(): """They are all reset."""', True, True, True),
        ('class TestProxy:\n def test_cut(self): """Cuts reset all."""', True, False, True),
    ],
)
def test_the_check_sees_what_it_forbids(
    source: str, *, is_sentence: bool, refers_back: bool, is_heading: bool
) -> None:
    """The check tells good tests from bad ones."""
    ((name, text),) = _tests(source)
    assert _is_sentence(text) == is_sentence
    assert _refers_back(text) == refers_back
    assert _is_heading(name) == is_heading
