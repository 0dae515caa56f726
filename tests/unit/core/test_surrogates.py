r"""Halves of surrogate pairs: found, replaced by \ufffd, and named by pointers."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from pipeline.core.json_pointer import escape_name
from pipeline.core.surrogates import (
    MAX_POINTER_LENGTH,
    MAX_POINTERS,
    changed_strings,
    find_halves,
    replace_halves,
)

HALF: Final = re.compile("[\ud800-\udfff]")


def replaced(value: bytes) -> bytes:
    """The text with each half replaced."""
    return replace_halves(value, find_halves(value))


def pointers(value: bytes) -> list[str]:
    """Pointers of the strings and keys that are changed."""
    halves = find_halves(value)
    return changed_strings(replace_halves(value, halves), halves)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"\uD83D", "\ufffd"),
        (rb"\ude00", "\ufffd"),
        (rb"\udBfF\uDbFf", "\ufffd\ufffd"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"a\ud83db", "a\ufffdb"),
        (rb"\ud83d\n", "\ufffd\n"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\ude00\ude00", "\U0001f600\ufffd"),
    ],
)
def test_halves_are_replaced(sent: bytes, text: str) -> None:
    """Each half becomes one replacement character, and the rest stays."""
    value = b'"' + sent + b'"'
    assert len(replaced(value)) == len(value)
    assert json.loads(replaced(value)) == text


@pytest.mark.parametrize(
    "sent",
    [
        rb"",
        rb"\ud83d\ude00",
        rb"\uD83D\uDE00\ud83d\ude00",
        rb"\\ud83d",
        rb"\\\\ud83d",
        rb"\u00d8",
        rb"\ud7ff\ue000",
        rb"\"\\\"\\ud83d",
        rb"\ud8",
        rb"\ud8x0",
        rb"\ud83",
        b"\\",
        b"\\ud",
        b"ud83d \\\xd8",
    ],
)
def test_nothing_else_is_changed(sent: bytes) -> None:
    """Whole pairs, other escapes, escaped backslashes and broken escapes are no halves."""
    assert find_halves(sent) == []
    assert replaced(sent) == sent


def decoded(text: bytes) -> str:
    """How the standard library reads the escapes, halves included."""
    found = json.loads(b'"' + text + b'"')
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("seed", range(100))
def test_any_sequence_of_escapes(seed: int) -> None:
    """What is replaced is what the standard library reads as a half."""
    dice = random.Random(seed)  # noqa: S311
    parts = [rb"\ud83d", rb"\udbff", rb"\ude00", rb"\uDFFF", rb"\\", rb"\u0041", rb"\"", b"ud83d"]
    text = b"".join(dice.choices(parts, k=60))
    assert decoded(replaced(text)) == HALF.sub("\ufffd", decoded(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (rb'{"event":"\ud83d"}', ["/event"]),
        (rb'{"a":{"b":["x",{},{"c":["\ud83d"]}]}}', ["/a/b/2/c/0"]),
        (rb'{"a":[[],[1,2],"\ud83d"],"b":"\ud83d"}', ["/a/2", "/b"]),
        (rb'{"a":"\ud83d\ud83d","b":"x"}', ["/a"]),
        (rb'{"\ud83d":1}', ["/\ufffd"]),
        (rb'{"\ud83d" : "\ud83d"}', ["/\ufffd"]),
        (rb'{"a\ud83d":{"b":"\ud83d"}}', ["/a\ufffd", "/a\ufffd/b"]),
        (rb'{"a/b":{"~":"\ud83d"}}', ["/a~1b/~0"]),
        (rb'{"\u0061\"[{,:":"\ud83d"}', ['/a"[{,:']),
        (rb'{"":{"":"\ud83d"}}', ["//"]),
        (rb'{"a":"\ud83d","a":"\ud83d"}', ["/a"]),
        (rb'"\ud83d"', [""]),
        (rb'["[,",",\"]","\ud83d"]', ["/2"]),
        (rb'{"a":"\ud83d\ude00","b":"\ud83d"}', ["/b"]),
    ],
)
def test_changed_strings_are_named(value: bytes, expected: list[str]) -> None:
    """Each changed string or key has its pointer, in document order."""
    assert pointers(value) == expected


def strings(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Every string and key of a decoded value with its pointer."""
    if isinstance(value, str):
        yield value, at
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, f"{at}/{index}")
    elif isinstance(value, dict):
        for key, member in value.items():
            place = f"{at}/{escape_name(HALF.sub('�', key))}"
            yield key, place
            yield from strings(member, place)


def random_value(dice: random.Random, depth: int) -> Any:
    """A value with halves in some of its keys and strings."""
    kind = dice.randrange(5 if depth else 3)
    if kind == 0:
        return dice.choice([1, None, True, 1.5])
    if kind < 3:
        return dice.choice(["x", "\ud83d", 'a,[]{}:"\\', "\U0001f600", "\udc00 x"])
    if kind == 3:
        return [random_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    keys = dice.sample(["a", "b/~", "\ud83d", ',"]', "\udc00x"], k=dice.randrange(4))
    return {key: random_value(dice, depth - 1) for key in keys}


@pytest.mark.parametrize("seed", range(200))
def test_pointers_are_those_of_a_whole_decoding(seed: int) -> None:
    """A walk over the decoded value finds the same strings."""
    value = {"root": random_value(random.Random(seed), 6)}  # noqa: S311
    found = [at for text, at in strings(value, "") if HALF.search(text)]
    expected = list(dict.fromkeys(found))[:MAX_POINTERS]
    assert pointers(json.dumps(value).encode()) == expected
    assert pointers(json.dumps(value, indent=2).encode()) == expected


def test_deep_nesting_is_followed() -> None:
    """A pointer through hundreds of levels is cut to what is around the string."""
    value = b'{"a":' * 511 + rb'{"b":"\ud83d"}' + b"}" * 511
    assert pointers(value) == ["/a" * (MAX_POINTER_LENGTH // 2)]
    assert pointers(b"[" * 90 + rb'"\ud83d"' + b"]" * 90) == ["/0" * 90]


def test_long_names_are_cut() -> None:
    """A key of a megabyte is in no pointer, and neither is what is below it."""
    key = b"k" * 1_000_000
    assert pointers(b'{"a":{"' + key + rb'":{"b":"\ud83d"}},"c":"\ud83d"}') == ["/a", "/c"]
    assert pointers(b'{"' + key + rb'":"\ud83d"}') == [""]


def test_pointers_are_bounded() -> None:
    """The first 32 are named."""
    value = b"[" + b",".join([rb'"\ud83d"'] * 1_000) + b"]"
    assert pointers(value) == [f"/{index}" for index in range(MAX_POINTERS)]


def test_large_texts_are_read_once() -> None:
    """Megabytes of escapes, brackets or halves are no obstacle: nothing is read twice."""
    assert find_halves(rb"\n" * 500_000 + rb"\ud") == []
    assert len(find_halves(rb"\ud83d" * 200_000)) == 200_000
    deep = b"[" * 100_000 + rb'"\ud83d"' + b"]" * 100_000
    assert pointers(deep) == ["/0" * 100]
    many = b'{"a":' * 400 + b"[" + b",".join([rb'"\ud83d"'] * 100_000) + b"]" + b"}" * 400
    assert pointers(many) == ["/a" * 100]
