"""Repeats a question to a registry that does not answer, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from pipeline.errors import RegistryUnavailableError
from pipeline.ports import Stop

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
"""Pauses double up to this one: a registry that has just started is found soon."""
_REMINDER_S: Final = 10.0
"""Time after which the same sentence is said again."""

_Answer = TypeVar("_Answer")


class _Notices:
    """Says what is wrong at once, again at intervals, and when it is over."""

    def __init__(self, on_wait: Callable[[str], None], began: float) -> None:
        self._say, self._began = on_wait, began
        self._last: tuple[str, float] | None = None

    def failed(self, sentence: str, now: float, left_s: float) -> None:
        if self._last is None or sentence != self._last[0] or now >= self._last[1] + _REMINDER_S:
            self._last = sentence, now
            self._say(
                f"{sentence}; trying again for another {max(1, round(left_s))} s "
                "(startup_timeout_s)"
            )

    def answered(self, where: str, now: float) -> None:
        if self._last is not None:
            waited = max(1, round(now - self._began))
            self._say(f"{where} answers now, after {waited} s")


def retry_until_answered(
    ask: Callable[[], _Answer],
    where: str,
    limit_s: float,
    on_wait: Callable[[str], None],
    stop: Stop,
) -> _Answer | None:
    """Return the answer, after as many attempts as it takes; None after a request to stop.

    Raises RegistryUnavailableError when there is none within the limit. `on_wait` is called with
    sentences about the wait.
    """
    began, pause_s = time.monotonic(), _FIRST_PAUSE_S
    notices = _Notices(on_wait, began)
    while not stop.is_set():
        try:
            answer = ask()
        except RegistryUnavailableError as error:
            now = time.monotonic()
            left_s = began + limit_s - now
            if left_s <= 0:
                raise RegistryUnavailableError(f"{error} (tried for {limit_s:g} s)") from error
            notices.failed(str(error), now, left_s)
            stop.wait(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            notices.answered(where, time.monotonic())
            return answer
    return None
