"""Notices about waits that take longer than a moment, with their cause if it can be found."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

NOTICE_AFTER_S: Final = 1.0
"""Shorter waits are normal, and not worth a notice."""
_CAUSE_S: Final = 1.5
"""How long a notice waits for its cause. A cause that is found later gets a second notice."""

OnWait = Callable[[str], None]
"""Called with one sentence about a wait."""


def ignore_wait(_sentence: str) -> None:
    """Ignore notices, for clients whose waits are announced by somebody else."""


class PollingWait:
    """A wait in a polling loop. Needs no thread, and costs nothing at first."""

    def __init__(self, on_wait: OnWait) -> None:
        self._say = on_wait
        self._since = time.monotonic()
        self._is_told = False

    def elapsed(self, sentence: Callable[[], str]) -> float:
        """Return the seconds since the wait began, and announce it once when it takes long."""
        seconds = time.monotonic() - self._since
        if seconds >= NOTICE_AFTER_S and not self._is_told:
            self._is_told = True
            with contextlib.suppress(OSError, ValueError):  # a closed standard error
                self._say(sentence())
        return seconds


class _Wait:
    """A wait with a deadline for notices: none is given after its end."""

    def __init__(self, on_wait: OnWait) -> None:
        self._say = on_wait
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.explained = threading.Event()

    def on_wait(self, sentence: str) -> None:
        """Give a notice, unless the wait is over."""
        # A closed standard error is no reason to fail in a background thread.
        with self._lock, contextlib.suppress(OSError, ValueError):
            if not self.over.is_set():
                self._say(sentence)

    def end(self) -> None:
        """Give no more notices."""
        with self._lock:
            self.over.set()


@contextmanager
def announced(on_wait: OnWait, what: str, why: Callable[[], str]) -> Iterator[None]:
    """Announce `<what><why>` once if the body runs for longer than a moment.

    `why` may take long, and runs in a separate thread; it returns `: <cause>`, or nothing.
    """
    if on_wait is ignore_wait:
        yield
        return
    wait = _Wait(on_wait)

    def announce_with_cause() -> None:
        if wait.over.wait(NOTICE_AFTER_S):
            return
        threading.Thread(target=announce_without_cause, name="kafka-wait", daemon=True).start()
        try:
            cause = why()
        except Exception:  # noqa: BLE001  the wait itself reports what is wrong at its end
            cause = ""
        wait.explained.set()
        wait.on_wait(f"{what}{cause}")

    def announce_without_cause() -> None:
        if not wait.explained.wait(_CAUSE_S):
            wait.on_wait(what)

    threading.Thread(target=announce_with_cause, name="kafka-wait", daemon=True).start()
    try:
        yield
    finally:
        wait.end()
