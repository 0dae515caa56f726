"""The memory of this process: how the interpreter and the C library keep it."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
"""Of glibc's mallopt()."""
_ARENAS: Final = 2


def tune_memory() -> None:
    """For a process that handles many events; call it once, when everything is imported.

    What exists now lives as long as the process; what comes later has no cycles to speak of. And
    glibc keeps one heap for several threads: with one for each of the client's, as is its default,
    what single bursts have used is never given back.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
