"""A time limit for client calls that may never return, whatever timeout they were given.

librdkafka's send_offsets_to_transaction() hangs when the group's coordinator was missing from the
cluster's metadata for a moment, as it is after every broker crash (confluentinc/librdkafka issue
5511, open in 2.16). A thread in C can't be interrupted, but it can be abandoned: the session is
given up, and the next one fences whatever the abandoned call still does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

from pipeline.errors import OutcomeUnknownError

_SLICE_S: Final = 1.0
"""Length of one wait. A pause of this process (SIGSTOP) uses up no more of the limit than this."""


class TimedCalls:
    """One daemon thread that makes calls for a session, one at a time."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="kafka-calls", daemon=True).start()

    def call(self, function: Callable[[], object], limit_s: float, what: str) -> None:
        """Call the function.

        Raises what it raises, or OutcomeUnknownError when it takes too long.
        """
        self._asked.put(function)
        try:
            error = self._answer(limit_s)
        except queue.Empty:
            raise OutcomeUnknownError(
                f"{what}: the Kafka client did not return from a call within {limit_s:.0f} s"
            ) from None
        if error is not None:
            raise error

    def _answer(self, limit_s: float) -> Exception | None:
        """Wait in slices: after a pause of this process, the call has not had its time yet."""
        left = limit_s
        while left > _SLICE_S:
            try:
                return self._answers.get(timeout=_SLICE_S)
            except queue.Empty:
                left -= _SLICE_S
        return self._answers.get(timeout=left)

    def end(self) -> None:
        """End the thread, after its current call if that ever returns."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (function := self._asked.get()) is not None:
            try:
                function()
            except Exception as error:  # noqa: BLE001  handed to the caller
                self._answers.put(error)
            else:
                self._answers.put(None)
