"""Words that this project has given up for those of its field do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


class Retired(NamedTuple):
    """A word that is not used any more."""

    pattern: str
    """What it looks like in lower case, between two characters that are no letters."""
    instead: str
    """The term of the field."""


EVERYWHERE: Final[Mapping[str, Retired]] = {
    "letter": Retired("letters?", "dead letter"),
    "desk": Retired("desks?", "DLQ, dlq tool"),
    "deed": Retired("deeds?", "ledger write, action"),
    "purse": Retired("purses?", "revenue reader"),
    "offence": Retired("offen[cs]es?|offending", "discrepancy"),
    "accuse": Retired("accus(?:e[sdr]?|ing)", "report"),
    "condemn": Retired("condemn(?:s|ed)?", "confirmed poison pill"),
    "is meant": Retired("(?:is|are|was|were) meant", "match, is selected"),
    "stands by": Retired("stands? by|standing by", "is idle"),
    "hears": Retired("hears?|heard", "is notified, is reported"),
    "far too": Retired("far too", "too"),
    "held back": Retired("held back|held money", "blocked"),
    "narrowing": Retired("narrowing", "bisection"),
    "by halves": Retired("(?:by|in) halves", "bisection"),
    "dialect": Retired("dialects?", "format"),
    "good sample": Retired("good samples?", "baseline"),
    "crash book": Retired("crash books?", "poison pill"),
    "fleet": Retired("fleets?", "aggregate, all workers"),
    "dealt with": Retired("dealt with|deals? with each", "resolved"),
    "whole road": Retired("whole road", "whole pipeline"),
    "folded out": Retired("folded out", "normalised, grouped"),
    "walk in the park": Retired("walk in the park", "a real test"),
    "lifted": Retired("lift(?:s|ed)?", "copied"),
    "whatif": Retired("what ifs?|whatif", "recheck"),
    "undelivered": Retired("undelivered", "delivery errors"),
    "tally": Retired("tally|tallies", "counts"),
}
"""Name of an entry → the word; looked for in documents and in code."""

IN_DOCUMENTS: Final[Mapping[str, Retired]] = {
    "refuse": Retired("refus(?:e|es|ed|al|als|ing)", "reject, rejected"),
    "doubled": Retired("doubl(?:e|es|ed|ing)", "duplicate"),
    "invented": Retired("invented", "orphaned"),
    "login": Retired("logins?", "authentication"),
    "right": Retired("rights", "permission"),
    "for ever": Retired("for ever", "forever"),
    "what is there": Retired("what is there", "existing outputs"),
}
"""Looked for in documents only: in code, most are names of errors or of Kafka's answers."""

ALL: Final = {**EVERYWHERE, **IN_DOCUMENTS}

FRAGMENT: Final = re.compile(
    r'"""(?:That|Which|Whose|Those that|(?:By|Of|With|In|From|To|At|For) which|Such as)\b'
)
"""How a docstring begins that can be read only together with the name that it belongs to."""

EXEMPT: Final = (
    r"dead[\s_.#>-]*letters?",
    r"record_refused|timestamp_refused|refused\s?error|connection refused",
    r"(?:capital|one|two|three|four|first|upper-case|lower-case)[\s_#]letters?",
    r"letters a–z|letter by letter|letters of any script",
    r"schema dialect",
    r"desk lamp",
    r"track\.redrive\.letter|\\?\"deed\\?\"",  # names on the wire
    r"(?s:### renamed before the first release\n.*?(?=\n### ))",  # lists the names given up
)
"""Phrases with a retired word that are the field's own, or names that stay."""


def _files() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in ("docs", "schemas"):
        yield from (ROOT / folder).rglob("*.md")
    for folder in ("pipeline", "schemas", "tests"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))


@cache
def _words(path: Path) -> str:
    """A file in lower case, identifiers taken apart, without the phrases that may stay."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", path.read_text(encoding="utf-8")).lower()
    return re.sub("|".join(EXEMPT), " ", text)


def _is_used(word: Retired, words: str) -> bool:
    pattern = word.pattern.replace(" ", r"[\s_#]+")
    return re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", words) is not None


def _found_in(path: Path) -> Iterator[str]:
    words = _words(path)
    retired = ALL if path.suffix == ".md" else EVERYWHERE
    yield from (name for name, word in retired.items() if _is_used(word, words))
    if path.suffix == ".py" and FRAGMENT.search(path.read_text(encoding="utf-8")):
        yield "fragment"


FILES: Final = {path.relative_to(ROOT).as_posix(): path for path in sorted(_files())}


@pytest.mark.parametrize("name", FILES)
def test_no_retired_word_comes_back(name: str) -> None:
    """Each word that was given up has a term of the field, which the message names."""
    terms = {
        found: ALL[found].instead if found in ALL else "a sentence"
        for found in _found_in(FILES[name])
    }
    assert terms == {}


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("a letter of the topic", True),
        ("class LetterWriter", True),
        ("def letters_of(topic)", True),
        ("a dead\n# letter of the topic", False),
        ("class DeadLetterWriter", False),
        ("three capital letters such as EUR", False),
        ("a newsletter", False),
    ],
)
def test_letter_is_told_from_dead_letter(text: str, tmp_path: Path, *, is_found: bool) -> None:
    """Words are found in sentences and in names, and phrases of the field are not."""
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    assert ("letter" in _found_in(path)) is is_found
