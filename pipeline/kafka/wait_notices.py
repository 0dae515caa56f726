"""Notices about waits that take longer than a moment, with their cause if it can be found.

They are repeated while the wait lasts, and its end is told.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

NOTICE_AFTER_S: Final = 1.0
"""Shorter waits are normal, and not worth a notice."""
AGAIN_S: Final = 10.0
"""Time after which a notice is repeated."""
_CAUSE_S: Final = 1.5
"""How long a notice waits for its cause. A cause that is found later gets a second notice."""
_LOOK_S: Final = 3.0
"""Pause before a cause that was not found is looked for again."""

OnWait = Callable[[str], None]
"""Called with one sentence about a wait."""


def ignore_wait(_sentence: str) -> None:
    """Ignore notices, for clients whose waits are announced by somebody else."""


class PollingWait:
    """A wait in a polling loop. Needs no thread, and costs nothing at first."""

    def __init__(self, on_wait: OnWait) -> None:
        self._say = on_wait
        self._since = time.monotonic()
        self._next_s = NOTICE_AFTER_S

    def elapsed(self, sentence: Callable[[], str]) -> float:
        """Return the seconds since the wait began, and announce it now and then."""
        seconds = time.monotonic() - self._since
        if seconds >= self._next_s:
            self._next_s = seconds + AGAIN_S
            self._tell(sentence())
        return seconds

    def end(self, sentence: Callable[[], str]) -> None:
        """Tell that something is done, if a wait was announced."""
        if self._next_s > NOTICE_AFTER_S:
            self._tell(f"{sentence()}, after {time.monotonic() - self._since:.0f} s")

    def _tell(self, sentence: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed standard error
            self._say(sentence)


class Wait:
    """A wait whose notices end with it."""

    def __init__(self, on_wait: OnWait) -> None:
        self._say = on_wait
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._said = ""
        self._again_at = 0.0
        self.over = threading.Event()
        self.explained = threading.Event()

    def on_wait(self, sentence: str) -> None:
        """Give a notice, unless the wait is over or the same was said a short time ago."""
        # A closed standard error is no reason to fail in a background thread.
        with self._lock, contextlib.suppress(OSError, ValueError):
            now = time.monotonic()
            if not self.over.is_set() and (sentence != self._said or now >= self._again_at):
                self._said, self._again_at = sentence, now + AGAIN_S
                self._say(sentence)

    def end(self, sentence: str = "") -> None:
        """Give no more notices, but a last one that something is done, if a wait was announced."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if sentence and self._said and not self.over.is_set():
                self._say(f"{sentence}, after {time.monotonic() - self._began:.0f} s")
            self.over.set()


@contextmanager
def announced(on_wait: OnWait, what: str, why: Callable[[], str]) -> Iterator[Wait]:
    """Announce `<what><why>` when the body runs for longer than a moment, again and again.

    `why` may take long, and runs in a separate thread; it returns `: <cause>`, or nothing. The body
    ends the wait with a sentence when it has what it waited for.
    """
    wait = Wait(on_wait)
    if on_wait is ignore_wait:
        yield wait
        return

    def announce_with_cause() -> None:
        if wait.over.wait(NOTICE_AFTER_S):
            return
        threading.Thread(target=announce_without_cause, name="kafka-wait", daemon=True).start()
        while True:
            try:
                cause = why()
            except Exception:  # noqa: BLE001  the wait itself reports what is wrong at its end
                cause = ""
            wait.explained.set()
            wait.on_wait(f"{what}{cause}")
            if wait.over.wait(AGAIN_S if cause else _LOOK_S):
                return

    def announce_without_cause() -> None:
        if not wait.explained.wait(_CAUSE_S):
            wait.on_wait(what)

    threading.Thread(target=announce_with_cause, name="kafka-wait", daemon=True).start()
    try:
        yield wait
    finally:
        wait.end()
