"""Logs a stall from its beginning to its end.

Each stall is logged at once, again in every interval while it lasts, and its end as `recovered`. A
harmless one is logged once, as information.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pipeline.ports import Stall
from pipeline.worker.observe.logs import get_logger

_JUST_NOW_S: Final = 0.9
"""A stall logged so recently is not repeated. Below the shortest statistics interval of 1 s."""


class StallLog:
    """Logs the current stalls, whoever has found them."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, logger: str = "pipeline.worker"
    ) -> None:
        self._log = get_logger(logger)
        self._clock = clock
        self._waits: Stall | None = None
        self._cause = ""
        self._since: float | None = None
        self._resetting = False
        self._logged_at = 0.0

    def reset(self, cause: str) -> None:
        """Note a reset of the worker, which logs its cause itself."""
        self._resetting = True
        self._begin(cause)

    def works(self) -> None:
        """Note that the worker makes progress again after a reset."""
        self._resetting = False
        self._end_if_over()

    def waits(self, now: Stall | None) -> None:
        """Note what the monitor has found; None when there is no stall."""
        if now == self._waits:
            return
        self._waits = now
        if now is None or now.harmless:
            self._end_if_over()
        else:
            self._begin(now.cause)
        if now is not None:
            self._write(now)

    def repeat(self) -> None:
        """Log again a stall that lasts. Resets are logged by each attempt."""
        just_logged = self._clock() - self._logged_at < _JUST_NOW_S
        if self._waits is not None and not self._waits.harmless and not just_logged:
            self._write(self._waits)

    def _write(self, stall: Stall) -> None:
        self._logged_at = self._clock()
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
