"""The stacks of all threads in the log, before somebody kills a worker that is stuck."""

from __future__ import annotations

import sys
import threading
import traceback

from pipeline.worker.observe.logs import get_logger


def log_stacks(why: str) -> None:
    """Log `stuck` with the stacks of all threads of this process; no values, only places."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = [
        f"thread {names.get(number, number)}:\n{''.join(traceback.format_stack(frame))}"
        for number, frame in sys._current_frames().items()  # noqa: SLF001  the only way to them
    ]
    get_logger("pipeline.worker").error("stuck", cause=why, frames="\n".join(stacks))
