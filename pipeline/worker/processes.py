"""Workers as processes of a supervisor: how they start, how they end, and what they inherit.

A worker is started as its supervisor was itself: the same command line and environment, and one
more variable that names its slot and two inherited files. So it reads the same settings from the
same places, and no secret is written anywhere for it. One of the files is the end of a pipe whose
other end the supervisor alone holds: when that is closed, on purpose or because the supervisor is
gone, however it ended, the worker finishes what it has begun, and ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""What a supervisor listens to."""
_VARIABLE: Final = "_TRACK_PIPELINE_WORKER"
_VMSTAT: Final = Path("/proc/vmstat")
_OOM_KILLS: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class InheritedHandles(NamedTuple):
    """What a worker has inherited from its supervisor."""

    slot: int
    memory: int
    """File descriptor of what all of them share: memory, or a file that says what is to be done."""
    lifeline: int
    """File descriptor of a pipe, which ends with the supervisor."""


ExitStatus = tuple[int, int, bool]
"""Slot, exit code (or the negative number of the signal that killed it), and whether the system has
killed processes for want of memory just now."""


class SignalSource(Protocol):
    """Where signals come from."""

    def next(self, timeout_s: float) -> int | None:
        """The number of the next one; None when there is none in that time."""


class WorkerProcesses:
    """The supervisor's side."""

    def __init__(self, memory: int, signals: SignalSource) -> None:
        """`memory` is the file descriptor that workers inherit; `signals` gives SIGNALS."""
        self._signals = signals
        self._memory = memory
        self._lifeline, assigned = os.pipe()
        self._held: int | None = assigned
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._oom_kills = _oom_kills()

    def start(self, slot: int) -> int:
        """Start a worker; its process id. OSError when the system has no room for it."""
        inherited = (self._memory, self._lifeline)
        process = subprocess.Popen(  # noqa: S603  the command that started us
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, _VARIABLE: " ".join(map(str, (slot, *inherited)))},
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours, and told once
        )
        self._alive[slot] = process
        return process.pid

    def alive(self) -> int:
        """How many workers there are."""
        return len(self._alive)

    def wait(self, timeout_s: float) -> tuple[int | None, list[ExitStatus]]:
        """Wait that long at most: a signal that asks to stop, if any, and workers that ended."""
        received = self._signals.next(timeout_s)
        number = None if received == signal.SIGCHLD else received
        oom_kills = _oom_kills()
        killed, self._oom_kills = oom_kills > self._oom_kills, oom_kills
        polled = [(slot, process.poll()) for slot, process in self._alive.items()]
        ended = [(slot, status, killed) for slot, status in polled if status is not None]
        for slot, _, _ in ended:
            del self._alive[slot]
        return number, ended

    def ask_to_stop(self) -> None:
        """Let all workers finish what they have begun, and end; more than once is once."""
        # Not by a signal: a service manager may have sent one to the workers, too, and a second
        # one means to end at once.
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def kill(self) -> None:
        """End all workers at once, and wait until they are gone."""
        for process in self._alive.values():
            process.kill()
        for process in self._alive.values():
            process.wait()
        self._alive.clear()


def inherited_handles(environ: MutableMapping[str, str]) -> InheritedHandles | None:
    """What this process has inherited, which is taken out of `environ`; None without supervisor."""
    text = environ.pop(_VARIABLE, None)
    return None if text is None else InheritedHandles(*map(int, text.split()))


def follow(lifeline: int, stop: threading.Event) -> None:
    """Stop this process as SIGTERM does when the supervisor wants it, or is gone."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def watch() -> None:
        os.read(lifeline, 1)
        if not stop.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _oom_kills() -> int:
    """How many processes the system has killed for want of memory; 0 where it does not say."""
    try:
        found = _OOM_KILLS.search(_VMSTAT.read_text("ascii"))
    except OSError:
        return 0
    return int(found[1]) if found else 0
