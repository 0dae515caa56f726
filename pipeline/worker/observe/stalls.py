"""What keeps a worker from working, from the first word about it to the last.

Each is told at once, again in every interval while it lasts, and its end as `recovered`. What is
harmless is told once, as information.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from pipeline.ports import Stall

_JUST_NOW_S: Final = 0.9
"""Less than the shortest interval."""


class StallLog:
    """Those that are there now, by who has found them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.stdlib.get_logger("pipeline.worker")
        self._clock = clock
        self._waits: Stall | None = None
        self._cause = ""
        self._since: float | None = None
        self._resetting = False
        self._told_at = 0.0

    def reset(self, cause: str) -> None:
        """The worker begins anew because of this, and has said so itself."""
        self._resetting = True
        self._begin(cause)

    def works(self) -> None:
        """After a reset the worker works again."""
        self._resetting = False
        self._end_if_over()

    def waits(self, now: Stall | None) -> None:
        """What the watch has found; None: nothing is in the way."""
        if now == self._waits:
            return
        self._waits = now
        if now is None or now.harmless:
            self._end_if_over()
        else:
            self._begin(now.cause)
        if now is not None:
            self._tell(now)

    def repeat(self) -> None:
        """Say again what is still in the way; a reset is told by each try."""
        just_told = self._clock() - self._told_at < _JUST_NOW_S
        if self._waits is not None and not self._waits.harmless and not just_told:
            self._tell(self._waits)

    def _tell(self, stall: Stall) -> None:
        self._told_at = self._clock()
        if stall.harmless:
            self._log.info("waiting", cause=stall.cause)
        else:
            self._log.warning("waiting", cause=stall.cause, seconds=self._seconds())

    def _begin(self, cause: str) -> None:
        self._cause = cause
        if self._since is None:
            self._since = self._clock()

    def _end_if_over(self) -> None:
        waits = self._waits is not None and not self._waits.harmless
        if self._since is None or waits or self._resetting:
            return
        self._log.info("recovered", after_s=self._seconds(), cause=self._cause)
        self._since = None

    def _seconds(self) -> float:
        return round(self._clock() - (self._since or self._clock()), 1)
