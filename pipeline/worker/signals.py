"""SIGTERM, SIGINT and SIGHUP set a stop flag; a second one, or the end of the grace period, exits.

A separate thread waits for the signals. A handler in the main thread would run only when a call
into the Kafka client returns, which may take seconds.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_EXIT_BASE: Final = 128
_SAME_REQUEST_S: Final = 0.25
"""timeout(1) and some supervisors signal both the process and its group: that is one request."""


class Signals:
    """A queue of received signals. Create it before starting threads, since it blocks the signals.

    An ignored SIGHUP stays ignored: nohup(1) wants the process to outlive its terminal.
    """

    def __init__(self, which: Collection[signal.Signals]) -> None:
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        self._which = set(which) - ignored
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._which)
        self._received: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._listener.start()

    def next(self, timeout_s: float | None = None) -> int | None:
        """Return the number of the next signal; None when none arrives in time, or after `end`."""
        try:
            number = self._received.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if number is None:
            self._received.put(None)
        return number

    def end(self) -> None:
        """Stop listening: the signals have their earlier effect again."""
        self._over.set()
        if self._listener.ident is not None:
            signal.pthread_kill(self._listener.ident, next(iter(self._which)))
        self._listener.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _listen(self) -> None:
        # Not by sigtimedwait(): when a process was paused for longer than the timeout, CPython's
        # returns a signal that nobody has sent.
        while True:
            number = signal.sigwait(self._which)
            if self._over.is_set():
                self._received.put(None)
                return
            self._received.put(number)


@contextmanager
def listening(which: Collection[signal.Signals]) -> Iterator[Signals]:
    """Receive signals within the block; after it they have their earlier effect again."""
    signals = Signals(which)
    try:
        yield signals
    finally:
        signals.end()


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first signal within the block sets; a second one exits the program.

    After the block signals have their earlier effect again.
    """
    stop, signals = threading.Event(), Signals(_SIGNALS)

    def watch() -> None:
        if signals.next() is None:
            return
        stop.set()
        signals.next(_SAME_REQUEST_S)
        second = signals.next()
        if second is not None:
            os._exit(_EXIT_BASE + second)

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        signals.end()
        watcher.join()


def stop_on_signals(grace_s: float) -> threading.Event:
    """Return an event that the first signal sets. Call this before starting threads."""
    stop, signals = threading.Event(), Signals(_SIGNALS)

    def watch() -> None:
        signals.next()
        stop.set()
        signals.next(_SAME_REQUEST_S)
        second = signals.next(grace_s)
        # An open transaction is aborted by the broker or by our next start: nothing is lost.
        os._exit(_EXIT_BASE + (second or signal.SIGKILL))

    threading.Thread(target=watch, name="stop", daemon=True).start()
    return stop
