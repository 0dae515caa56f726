"""Schemas that the registry does not know, or not yet.

An id may be in a record before every node of the registry knows it, so an unknown one is asked for
again for a moment. All of them share that moment: otherwise a flood of records with ids that nobody
knows would hold the worker for as long as there are records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from typing import Final

WAIT_S: Final = 3.0
"""Longest wait in a period. Replication of a registry's topic takes a fraction of it."""
PERIOD_S: Final = 60.0
_FIRST_S: Final = 0.25
"""Length of the first pause; each one after it is twice as long."""
FORGET_AFTER_S: Final = 30.0
"""Time after which a schema that was unknown is asked for again."""
_MOST: Final = 10_000
"""Unknown schemas that are remembered: a sender can make up two billion ids."""


class UnknownSchemas:
    """Remembers for a while which schemas are unknown, and limits the waits for them."""

    def __init__(
        self,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._until: dict[Hashable, float] = {}
        self._period_ends = clock()
        self._wait_s = self._left_s = wait_s

    def __contains__(self, key: Hashable) -> bool:
        until = self._until.get(key)
        return until is not None and self._clock() < until

    def add(self, key: Hashable) -> None:
        """Remember that a schema is unknown."""
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[key] = self._clock() + FORGET_AFTER_S

    def pauses(self) -> Iterator[None]:
        """Yield after each pause, until the period has had all the waits that it may have."""
        now, pause_s = self._clock(), _FIRST_S
        if now >= self._period_ends:
            self._period_ends, self._left_s = now + PERIOD_S, self._wait_s
        while self._left_s > 0:
            pause_s = min(pause_s, self._left_s)
            self._left_s -= pause_s
            self._sleep(pause_s)
            yield
            pause_s *= 2
