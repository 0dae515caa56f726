"""Log lines that come whatever the worker is at.

Its loop may be inside one call for minutes: opening a session, a commit that is tried again. So the
lines of each interval are written by a thread of their own, and so is what the watch finds.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.ports import StallMonitor
from pipeline.worker.observe.meter import LogMeter

_EVERY_S: Final = 0.5
_LAST_LOOK_S: Final = 1.0


@contextmanager
def reporting(meter: LogMeter, watch: StallMonitor) -> Iterator[None]:
    """Report within the block; behind it the meter is its caller's alone."""
    over = threading.Event()

    def look() -> None:
        found = watch.look()
        if not over.is_set():
            meter.waits(found)

    threads = [_repeating(meter.report, over), _repeating(look, over)]
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            # A look may take longer: then it is left behind, and what it finds is not told.
            thread.join(_LAST_LOOK_S)


def _repeating(act: Callable[[], None], over: threading.Event) -> threading.Thread:
    """Do it again and again, in a thread of its own, until it is over."""

    def repeat() -> None:
        while not over.wait(_EVERY_S):
            act()

    # What is bound to each line, such as the worker's number, is bound to the context.
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(repeat,), name="reporter", daemon=True)
    thread.start()
    return thread
