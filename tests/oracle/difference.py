"""The form of an entry in the table of differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.oracle.corpus import Case
from tests.oracle.facts import Facts
from tests.support import raw

Resend = Callable[[Case, bytes], bytes]
"""What version 1 must be sent to do what version 2 does with a value."""
Change = Callable[[Case, list[Facts], list[Facts]], None]
"""Takes a difference out of the facts of version 1 and of today."""


class Difference(NamedTuple):
    """Something that contract version 2 does differently on purpose."""

    name: str
    why: str
    """What version 2 does, and the reason."""
    examples: tuple[Case, ...]
    """Records that the entry explains: without it they differ."""
    resend: Resend | None = None
    change: Change | None = None


def each(change: Callable[[Case, Facts, Facts], None]) -> Change:
    """A change of each pair of outputs."""

    def of_all(case: Case, before: list[Facts], now: list[Facts]) -> None:
        for old, new in zip(before, now, strict=False):
            change(case, old, new)

    return of_all


def in_turn(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def all_of_them(case: Case, before: list[Facts], now: list[Facts]) -> None:
        for change in changes:
            change(case, before, now)

    return all_of_them


def example(value: bytes, **settings: Any) -> tuple[Case, ...]:
    """An example of one record."""
    return (Case("example", raw(value), settings),)
