"""A script that runs a broker which must not outlive its owner; never imported.

    python guard.py LOG LITTER COMMAND…

It is the parent of COMMAND (whose output is appended to the file LOG), prints its process id, and
exits with its exit code, or 128 + the number of the signal that ended it. The owner holds the other
end of standard input: `T` sends SIGTERM, `K` sends SIGKILL, and the end of the stream, which also
comes when the owner is killed, ends COMMAND and removes the folder LITTER (unless that is empty).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
from typing import Final

_SIGNALS: Final = {b"T": signal.SIGTERM, b"K": signal.SIGKILL}
_GRACE_S: Final = 5.0
"""Seconds from SIGTERM to SIGKILL after the owner is gone."""
_CANT_START: Final = 127
_KILLED_BASE: Final = 128
_PR_SET_PDEATHSIG: Final = 1


def _die_with(guard: int) -> None:
    """Have Linux kill this process when the guard itself is killed.

    It would do so as well when the thread that made this process ends: hence a guard of one thread,
    and not the owner, who may have many.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(_KILLED_BASE + signal.SIGKILL)


def _spawn(log: str, command: list[str]) -> int:
    """Start the command and return its process id."""
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), 1)
        os.dup2(1, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _die_with(guard)
        os.execv(command[0], command)  # noqa: S606  there is no shell, and none is wanted
    except OSError as error:
        os.write(2, f"Error: {command[0]} can't be started: {error.strerror}\n".encode())
    os._exit(_CANT_START)


def _watch(child: int, woken: int) -> tuple[int, bool]:
    """Wait for the child's end; return its wait status and whether the owner is gone."""
    watched, patience = [0, woken], None
    while True:
        ready, _, _ = select.select(watched, [], [], patience)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, 0 not in watched
        if woken in ready:
            os.read(woken, 1)
        if 0 in ready:
            order = os.read(0, 1)
            if not order:
                watched, patience = [woken], _GRACE_S
            os.kill(child, _SIGNALS.get(order, signal.SIGTERM))
        if not ready:
            os.kill(child, signal.SIGKILL)


def main(log: str, litter: str, *command: str) -> int:
    """Run the command to its end and return the exit code."""
    # Whoever blocks signals for its own threads hands that down to its children.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    child = _spawn(log, list(command))
    with contextlib.suppress(BrokenPipeError):  # the owner is gone already: seen in _watch, too
        os.write(1, f"{child}\n".encode())
    status, orphaned = _watch(child, woken)
    if orphaned and litter:
        shutil.rmtree(litter, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _KILLED_BASE - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
