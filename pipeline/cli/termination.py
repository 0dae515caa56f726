"""SIGTERM and SIGHUP end a command as Ctrl-C does: it cleans up what it has opened first.

Commands that stop in an order of their own, such as the worker, take these signals for themselves.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """The process was asked to end."""


def unwind_on_signals() -> None:
    """Raise Terminated in the main thread at the first of them; a second one ends at once.

    A signal that is ignored stays ignored: nohup(1) wants it so.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _frame: FrameType | None) -> None:
    for each in _ENDING:
        if signal.getsignal(each) is _raise:
            signal.signal(each, signal.SIG_DFL)
    _received.append(number)
    raise Terminated


def end_as_asked() -> None:
    """End by the signal that was received, so that its sender sees it in the exit status."""
    if _received:
        os.kill(os.getpid(), _received[0])
