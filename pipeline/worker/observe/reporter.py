"""A thread that reports, whatever the worker is doing.

The loop may spend minutes inside one call: opening a session, or retrying a commit. So a separate
thread writes the lines of each interval, another one runs the stall monitor, and a third one looks
up records that wait.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.ports import RecordFinder, StallMonitor
from pipeline.worker.observe.logs import get_logger
from pipeline.worker.observe.meter import LogMeter

_EVERY_S: Final = 0.5
"""Interval of the threads, below the shortest statistics interval of one second."""
_BUG_EVERY_S: Final = 30.0
"""How often the same bug is logged."""
_LAST_LOOK_S: Final = 1.0
"""How long the end of the block waits for a thread."""


@contextmanager
def reporting(meter: LogMeter, watch: StallMonitor, finder: RecordFinder) -> Iterator[None]:
    """Report within the block. After it the meter belongs to its caller alone."""
    over = threading.Event()

    def look() -> None:
        found = watch.look()
        if not over.is_set():
            meter.waits(found)

    threads = [
        _repeating(meter.report, over),
        _repeating(look, over),
        _repeating(lambda: meter.look_up(finder), over),
    ]
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            # A question to Kafka may take longer. Then it is abandoned, and its answer ignored.
            thread.join(_LAST_LOOK_S)


def _repeating(act: Callable[[], None], over: threading.Event) -> threading.Thread:
    """Start a thread that calls `act` again and again until `over` is set."""

    def repeat() -> None:
        quiet_until = 0.0
        while not over.wait(_EVERY_S):
            try:
                act()
            except Exception:  # noqa: BLE001  a bug must not end the reports
                if time.monotonic() >= quiet_until:
                    quiet_until = time.monotonic() + _BUG_EVERY_S
                    get_logger("pipeline.worker").exception("a bug of this program's reports")

    # Values bound to each log line, such as the worker's number, are bound to the context.
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(repeat,), name="reporter", daemon=True)
    thread.start()
    return thread
