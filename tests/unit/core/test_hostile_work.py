"""How much work a hostile record makes: counted, or held against the plain way to do it."""

from __future__ import annotations

import difflib
import random
import re
from typing import Final

import pytest

from pipeline.core.decode import decode
from pipeline.core.identities import near_id_name
from pipeline.core.reasons import Invalid
from tests.hostile import batch
from tests.support import good, outcomes, process, reject

NAMES: Final = ("userid", "anonymousid")


class Counted:
    """Counts how often two names are compared in full."""

    def __init__(self) -> None:
        self.times = 0
        self._before = difflib.get_close_matches

    def __call__(self, word: str, names: list[str], n: int, cutoff: float) -> list[str]:
        """As difflib does it."""
        self.times += 1
        return self._before(word, names, n=n, cutoff=cutoff)


@pytest.mark.parametrize("alphabet", ["uidx", "userid", "anonymousid", "0123456789", "-_ "])
def test_names_that_are_compared(alphabet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of nothing but names makes a few comparisons, not one for each of them."""
    counted, dice = Counted(), random.Random(3)  # noqa: S311
    monkeypatch.setattr(difflib, "get_close_matches", counted)
    names = {"".join(dice.choices(alphabet, k=8)): 1 for _ in range(5000)}
    reject(good(userId=..., **names))
    assert counted.times <= 8


@pytest.mark.parametrize("name", ["x", "", "userid_", "anonymousid0", "k" * 40, "--------"])
def test_names_that_are_looked_at(name: str) -> None:
    """Of a record with many unknown names only the first ones are read at all."""
    names = iter([name] * 80_000)
    near_id_name(names)
    assert len(list(names)) >= 79_800


def test_near_names_among_others() -> None:
    """A close name is found among as many fields as an event ever has."""
    names = [f"custom_column_{number}" for number in range(150)]
    assert near_id_name([*names, "user_id"]) == "; did you mean userId?"


def test_near_names_are_all_found() -> None:
    """Names that are left out before they are compared would not have been near."""
    dice = random.Random(5)  # noqa: S311
    for _ in range(20_000):
        characters = list(dice.choice(NAMES))
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(characters) + 1)
            characters[at : at + dice.randrange(2)] = dice.choices(
                "userid_anomyx", k=dice.randrange(2)
            )
        name = "".join(characters)
        plain = name.replace("_", "")
        near = difflib.get_close_matches(plain, NAMES, n=1, cutoff=0.85)
        assert bool(near_id_name([name])) is bool(near), name


_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _depth(value: bytes) -> int:
    deepest = depth = 0
    for token in _TOKEN.findall(value):
        depth += (token in b"[{") - (token in b"]}")
        deepest = max(deepest, depth)
    return deepest


@pytest.mark.parametrize("seed", range(200))
def test_depth_is_counted_exactly(seed: int) -> None:
    """Brackets within strings do not count, closed or not, escaped or not."""
    dice = random.Random(seed)  # noqa: S311
    value = bytes(dice.choices(b'[[[{]}",\\ a', k=400))
    depth = _depth(value)
    for limit in (depth - 1, depth):
        rejected = decode(value, limit)
        assert isinstance(rejected, Invalid)
        too_deep = rejected.violations[0].code == "too_deep"
        assert too_deep is (limit < depth)


def test_dropped_calls_in_a_large_context() -> None:
    """What is dropped is not merged first: no limit of outputs would bound that work."""
    keys = b",".join(b'"k%d":1' % number for number in range(40_000))
    items = [b'{"type":"page","context":{"a":1}}'] * 4_000
    outputs = process(batch(*items, rest=b',"context":{' + keys + b"}"), on_other_type="drop")
    assert outcomes(outputs) == ("unsupported_type",) * 4_000


def test_too_many_items_beside_an_unreadable_one() -> None:
    """Items are counted before any of them is judged, also when brackets tell them apart."""
    assert outcomes(process(batch(*[b"1"] * 300_000, b"NaN"))) == ("batch_too_large",)
