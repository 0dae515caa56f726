"""A word on a wait that takes longer than a moment, with its cause when that can be found."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

FIRST_WORD_S: Final = 1.0
_CAUSE_S: Final = 1.5
"""How long the first word waits for its cause; a cause that comes later is a second word."""

Say = Callable[[str], None]


def ignore_wait(_sentence: str) -> None:
    """For clients whose waits are told by somebody else."""


class PollingWait:
    """A wait in a loop that looks again and again; needs no thread, and costs nothing at first."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._since = time.monotonic()
        self._is_told = False

    def goes_on(self, sentence: Callable[[], str]) -> float:
        """Seconds since it began; `sentence` is said once, when they are more than a moment."""
        seconds = time.monotonic() - self._since
        if seconds >= FIRST_WORD_S and not self._is_told:
            self._is_told = True
            with contextlib.suppress(OSError, ValueError):  # a closed standard error
                self._say(sentence())
        return seconds


class _Wait:
    """One wait: what is said of it, and that nothing is said after its end."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.explained = threading.Event()

    def say(self, sentence: str) -> None:
        """Say it, unless the wait is over."""
        # A standard error that is closed is no reason to fail in a thread of our own.
        with self._lock, contextlib.suppress(OSError, ValueError):
            if not self.over.is_set():
                self._say(sentence)

    def end(self) -> None:
        """From now on nothing is said."""
        with self._lock:
            self.over.set()


@contextmanager
def told(say: Say, what: str, why: Callable[[], str]) -> Iterator[None]:
    """While the body runs for longer than a moment: say `<what><why>`, once.

    `why` may take long, and runs in a thread of its own; it gives `: <cause>`, or nothing.
    """
    if say is ignore_wait:
        yield
        return
    wait = _Wait(say)

    def explain() -> None:
        if wait.over.wait(FIRST_WORD_S):
            return
        threading.Thread(target=say_unexplained, name="kafka-wait", daemon=True).start()
        try:
            cause = why()
        except Exception:  # noqa: BLE001  the wait itself ends with what is wrong
            cause = ""
        wait.explained.set()
        wait.say(f"{what}{cause}")

    def say_unexplained() -> None:
        if not wait.explained.wait(_CAUSE_S):
            wait.say(what)

    threading.Thread(target=explain, name="kafka-wait", daemon=True).start()
    try:
        yield
    finally:
        wait.end()
