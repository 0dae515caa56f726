"""SIGTERM and SIGINT → a stop flag; a second signal, or the end of the grace time, exits at once.

A thread of its own waits for the signals: a handler in the main thread would run only when a call
into the Kafka client returns, which may be seconds later.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT}
_EXIT_BASE: Final = 128
_SAME_REQUEST_S: Final = 0.25


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that is set by a SIGTERM or SIGINT within the block; a second one ends the program.

    Of the main thread only. Behind the block signals do again what they did before. A handler runs
    when a call into the Kafka client returns, which none of a desk takes long for.
    """
    stop, since = threading.Event(), [0.0]

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and time.monotonic() - since[0] > _SAME_REQUEST_S:
            os._exit(_EXIT_BASE + number)
        since[0] = time.monotonic()
        stop.set()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
