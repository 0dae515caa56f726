"""Settings of the garbage collector and the C allocator for a long-running worker."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
"""Parameter number in glibc's malloc.h."""
_ARENAS: Final = 2
"""Enough for the worker's thread and the client's busiest one."""


def tune_memory() -> None:
    """Tune this process for handling many events. Call it once, after all imports.

    Objects that exist now live as long as the process, so the collector need not look at them.
    Later ones form almost no cycles, so it runs rarely. And glibc is limited to a few arenas: with
    one for each of the client's threads, its default, memory used in bursts is never returned.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
