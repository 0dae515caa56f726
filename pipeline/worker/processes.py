"""Workers as child processes of a supervisor: how they start and end, and what they inherit.

A worker is started the way its supervisor was: with the same command line and environment, plus one
variable that names its slot and two inherited file descriptors. So it reads the same settings from
the same sources, and no secret has to be written anywhere for it. One descriptor is a pipe whose
other end only the supervisor holds. When that end is closed, on purpose or because the supervisor
is gone for whatever reason, the worker finishes its current transaction and exits.
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
"""Signals that a supervisor handles."""
_VARIABLE: Final = "_TRACK_PIPELINE_WORKER"
_VMSTAT: Final = Path("/proc/vmstat")
_OOM_KILLS: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class InheritedHandles(NamedTuple):
    """The file descriptors and the slot that a worker inherits from its supervisor."""

    slot: int
    memory: int
    """File descriptor that all workers share: memory, or a file that says what to do."""
    lifeline: int
    """File descriptor of a pipe that is closed when the supervisor exits."""


ExitStatus = tuple[int, int, bool]
"""Slot, exit code (or the negative number of the signal that killed it), and whether the system has
just killed processes for lack of memory."""


class SignalSource(Protocol):
    """Delivers signals one after another."""

    def next(self, timeout_s: float) -> int | None:
        """Return the number of the next signal, or None when none arrives in time."""


class WorkerProcesses:
    """Starts, watches and stops workers; the supervisor's side."""

    def __init__(self, memory: int, signals: SignalSource) -> None:
        """Workers inherit the file descriptor `memory`; `signals` delivers SIGNALS."""
        self._signals = signals
        self._memory = memory
        self._lifeline, assigned = os.pipe()
        self._held: int | None = assigned
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._oom_kills = _oom_kills()
        self._aborted: set[int] = set()

    def start(self, slot: int) -> int:
        """Start a worker and return its process id.

        OSError when the system can't create a process.
        """
        inherited = (self._memory, self._lifeline)
        process = subprocess.Popen(  # noqa: S603  the command that started us
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, _VARIABLE: " ".join(map(str, (slot, *inherited)))},
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor only
        )
        self._alive[slot] = process
        return process.pid

    def alive(self) -> int:
        """Return the number of running workers."""
        return len(self._alive)

    def wait(self, timeout_s: float) -> tuple[int | None, list[ExitStatus]]:
        """Wait for a signal that requests a stop; return it and the workers that have exited."""
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
        """Let all workers finish their current transaction and exit.

        Further calls change nothing.
        """
        # Not by a signal: a service manager may have sent one to the workers too, and a second one
        # makes them exit at once.
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def end_stuck(self, slot: int) -> None:
        """End a worker that hangs: first by SIGABRT, on which it writes its stacks, then killed."""
        process = self._alive.get(slot)
        if process is not None:
            number = signal.SIGKILL if process.pid in self._aborted else signal.SIGABRT
            self._aborted.add(process.pid)
            process.send_signal(number)

    def kill(self) -> None:
        """Kill all workers, and wait until they are gone."""
        for process in self._alive.values():
            process.kill()
        for process in self._alive.values():
            process.wait()
        self._alive.clear()


def inherited_handles(environ: MutableMapping[str, str]) -> InheritedHandles | None:
    """Take this process's inherited handles out of `environ`; None without a supervisor."""
    text = environ.pop(_VARIABLE, None)
    return None if text is None else InheritedHandles(*map(int, text.split()))


def follow(lifeline: int, stop: threading.Event) -> None:
    """Stop this process, as SIGTERM does, when the supervisor asks for it or is gone."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def watch() -> None:
        os.read(lifeline, 1)
        if not stop.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _oom_kills() -> int:
    """Return how many processes the system has killed for lack of memory, 0 if unknown."""
    try:
        found = _OOM_KILLS.search(_VMSTAT.read_text("ascii"))
    except OSError:
        return 0
    return int(found[1]) if found else 0
