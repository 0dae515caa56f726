"""A time limit for a whole request.

The limit of the HTTP client is one for each wait on the socket: a server that sends a byte now and
then is never too slow for it, and would hold a worker for longer than its group lets it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")


def call_within(limit_s: float, call: Callable[[], _Answer]) -> _Answer:
    """Return what the call returns, and raise what it raises, or TimeoutError when it takes longer.

    A call that takes longer is abandoned in its daemon thread: whoever called has to end it.
    """
    results: queue.SimpleQueue[Callable[[], _Answer]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001  raised again by the caller
            raised = error

            def fail() -> _Answer:
                raise raised

            results.put(fail)
        else:
            results.put(lambda: answer)

    threading.Thread(target=work, name="registry-request", daemon=True).start()
    try:
        result = results.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    return result()
