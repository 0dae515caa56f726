"""The attempts to get a worker going again: how many there were, how long to wait, when it is over.

A reset counts until something is committed, or until the worker has read for a while without a
failure. It has recovered when it is seen to make progress again.
"""

from __future__ import annotations

from typing import Final

from pipeline.errors import TransactionTimeoutError, TransportError
from pipeline.ports import Clock, Meter, Stop

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 30.0
"""Delays between resets double from the first to the longest: the default `max_resets` of 10 adds
up to 81 seconds, in which a killed broker is usually back."""
_CALM_S: Final = 60.0
"""After reading for so long without a failure, earlier resets no longer count, although nothing was
committed. Otherwise those of an idle worker would add up over weeks until it gives up."""


class Recovery:
    """Limits the resets without a commit to `max_resets`, and reports them to the meter."""

    def __init__(self, clock: Clock, meter: Meter, max_resets: int) -> None:
        self._clock = clock
        self._meter = meter
        self._max_resets = max_resets
        self._resets = 0
        self._reading_since: float | None = None
        """When the worker began to read after its last reset, by the monotonic clock."""
        self._owes_commit = False
        """Whether a batch was begun and nothing committed since."""
        self._is_recovering = False
        """Whether nothing has shown since the last reset that the worker makes progress again."""

    def wait(self, how: str, error: TransportError, stop: Stop) -> None:
        """Count a reset and wait before the next attempt, longer each time.

        A smaller transaction is progress, so the limit does not end the search for its size. Raises
        TransportError when there were too many resets.
        """
        if not (isinstance(error, TransactionTimeoutError) and error.is_halved):
            self._resets += 1
        self._reading_since = None
        if self._resets > self._max_resets + 1:
            raise error  # a soft reset gave up, and said so
        if self._resets > self._max_resets:
            message = f"gave up after {self._max_resets} attempts without a commit: {error}"
            raise TransportError(message) from error
        self._is_recovering = True
        attempt = max(1, self._resets)
        self._meter.recovering(how, error, attempt)
        stop.wait(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** (attempt - 1)))

    def begun(self) -> None:
        """Note that there is a batch to commit."""
        self._owes_commit = True

    def settle(self) -> None:
        """Note a commit, after which earlier resets no longer count."""
        self._resets = 0
        self._owes_commit = False

    def idle(self) -> None:
        """Note that the worker reads its partitions and there is nothing to commit.

        After a failed commit that alone proves nothing: the records to commit may arrive later.
        """
        now = self._clock.monotonic()
        if self._reading_since is None:
            self._reading_since = now
        if now - self._reading_since >= _CALM_S:
            self.settle()
        if not self._owes_commit:
            self.end()

    def end(self) -> None:
        """Tell the meter that the worker has recovered, if it had to."""
        if self._is_recovering:
            self._is_recovering = False
            self._meter.recovered()
