"""SIGTERM and SIGINT → a stop flag; a second signal, or the end of the grace time, exits at once.

A thread of its own waits for the signals: a handler in the main thread would run only when a call
into the Kafka client returns, which may be seconds later.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT}
_EXIT_BASE: Final = 128
_SAME_REQUEST_S: Final = 0.25


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that is set by a SIGTERM or SIGINT within the block; a second one ends the program.

    Behind the block signals do again what they did before.
    """
    stop, over = threading.Event(), threading.Event()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def watch() -> None:
        # Not with a time-out: when a process was paused longer than that, Python's sigtimedwait()
        # returns a signal that nobody has sent.
        while not over.is_set():
            heard = signal.sigwait(_SIGNALS)
            if over.is_set():
                return
            if stop.is_set():
                os._exit(_EXIT_BASE + heard)
            stop.set()
            signal.sigtimedwait(_SIGNALS, _SAME_REQUEST_S)

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        if watcher.ident is not None:
            signal.pthread_kill(watcher.ident, signal.SIGTERM)
        watcher.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_on_signals(grace_s: float) -> threading.Event:
    """An event that is set by the first SIGTERM or SIGINT. Call it before threads are started."""
    stop = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def watch() -> None:
        signal.sigwait(_SIGNALS)
        stop.set()
        # timeout(1) and some supervisors signal the process and its group: that is still one.
        signal.sigtimedwait(_SIGNALS, _SAME_REQUEST_S)
        second = signal.sigtimedwait(_SIGNALS, grace_s)
        # Whatever is in flight is aborted by the broker or by our next start: nothing is lost.
        os._exit(_EXIT_BASE + (second.si_signo if second else signal.SIGKILL))

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return stop
