"""Random draws that are the same for every Python version and platform.

Only `Random.random()` is promised never to change for a seed; choice(), shuffle() and their like
have changed before. Floats go through +, -, *, / alone, which IEEE 754 fixes to the last bit;
powers and logarithms differ between C libraries, and `sum()` between Python versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from random import Random
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_32_BITS: Final = 1 << 32
_48_BITS: Final = 1 << 48


class Dice:
    """The source of all random choices of one run."""

    __slots__ = ("random",)

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random  # noqa: S311  test data, no secrets

    def below(self, limit: int) -> int:
        """Draw an integer from 0 up to, but excluding, the limit."""
        return int(self.random() * limit)

    def pick(self, items: Sequence[Item]) -> Item:
        """Draw one of the items, with equal probability."""
        return items[int(self.random() * len(items))]

    def uuid(self) -> str:
        """Draw a version 4 UUID in lower case."""
        first, last = int(self.random() * _32_BITS), int(self.random() * _48_BITS)
        middle = f"{int(self.random() * _32_BITS):08x}"
        return f"{first:08x}-{middle[:4]}-4{middle[4:7]}-a{middle[5:]}-{last:012x}"


def weighted(items: Iterable[tuple[Item, int]]) -> tuple[Item, ...]:
    """Repeat each item as often as its weight says, for `Dice.pick`."""
    return tuple(chain.from_iterable(repeat(item, weight) for item, weight in items))


class Deck(Generic[Item]):
    """A set of items drawn at random without replacement, which starts over when it is empty.

    So each card comes once in every `len(cards)` draws, and few draws show them all.
    """

    __slots__ = ("_cards", "_left")

    def __init__(self, cards: Iterable[Item]) -> None:
        self._cards = list(cards)
        self._left: list[Item] = []

    def draw(self, dice: Dice) -> Item:
        """Draw the next item."""
        if not self._left:
            self._left = list(self._cards)
        chosen = dice.below(len(self._left))
        self._left[chosen], self._left[-1] = self._left[-1], self._left[chosen]
        return self._left.pop()
