"""Words that an interface consists of, each with its meaning beside it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Explained(StrEnum):
    """A member is written as word and meaning."""

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Self:
        """Keep the meaning beside the word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member
