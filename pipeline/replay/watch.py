"""Reports how far a replay is while it works, whichever process works on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.errors import TransportError
from pipeline.replay.run import ReplayRun
from pipeline.replay.status import StatusReader

_FIRST_S: Final = 1.0
"""The first report comes soon: it lives."""


@contextmanager
def watching(run: ReplayRun) -> Iterator[None]:
    """Call the hook `on_status` now and then within the block, with the committed offsets."""
    on_status, every_s = run.hooks.on_status, run.hooks.status_interval_s
    if on_status is None:
        yield
        return
    over = threading.Event()
    reader = StatusReader(run.settings, run.plan)

    def watch() -> None:
        pause_s = _FIRST_S
        while not over.wait(pause_s):
            pause_s = every_s
            try:
                on_status(reader.read())
            except TransportError:
                continue  # the worker says what is wrong

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
