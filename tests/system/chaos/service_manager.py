"""Runs the worker processes and restarts them, as a service manager would.

Each worker has a slot with a name, a log and a file for failpoints. A process that ended is
replaced after a moment, unless another process of its slot is still alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import ExitCode
from tests.system.chaos.failpoints import Failpoint, arm, fired_file
from tests.system.chaos.worker_main import FAILPOINT_VARIABLE, SEEDED_BUG_VARIABLE
from tests.unit.cli.program import environment

_POLL_S: Final = 0.05
_BACK_OFF_S: Final = 0.5
_END_S: Final = 30.0


class ProcessExit(NamedTuple):
    """How one process ended."""

    slot: str
    code: int
    """Return code of `subprocess`, such as -9 for SIGKILL."""
    requested: bool
    """Whether the engine or a failpoint told it to end, or killed it."""
    was_last: bool
    """Whether no other process of its slot was alive."""
    message: str
    """Last line of its log that is not JSON: the error message for the operator."""


class Slot:
    """A worker by name; a zombie and its replacement are two processes of one slot."""

    def __init__(
        self,
        name: str,
        folder: Path,
        variables: Mapping[str, str],
        command: Sequence[str],
        *,
        static: bool,
    ) -> None:
        self.name = name
        self._command = command
        self.log = folder / f"{name}.log"
        self.failpoint = folder / f"{name}.failpoint"
        self._environment = {
            **environment(),
            **variables,
            # One transactional id per slot, for static and dynamic members alike.
            "TRACK_INSTANCE_ID" if static else "TRACK_TRANSACTIONAL_ID_PREFIX": name,
            FAILPOINT_VARIABLE: str(self.failpoint),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.suspended = False
        """Whether its processes are not restarted for now."""
        self.requested: set[int] = set()
        """Process ids of those that were told to end."""
        self.restart_at = 0.0

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more process."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.chaos.worker_main", *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Its processes that have not ended yet."""
        return [process for process in self.processes if process.poll() is None]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.alive():
            if number in {signal.SIGKILL, signal.SIGTERM}:
                self.requested.add(process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def arm(self, failpoint: Failpoint) -> None:
        """Arm a failpoint, which fires when its point is passed."""
        arm(self.failpoint, failpoint)

    def disarm(self) -> bool:
        """Remove the failpoint; True when it had not fired."""
        try:
            self.failpoint.unlink()
        except FileNotFoundError:
            return False
        return True

    def fired(self) -> bool:
        """Whether the last failpoint has fired."""
        return fired_file(self.failpoint).exists()

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """Parse the JSON lines of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.startswith("{"):
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def message(self) -> str:
        """Last line of its log that is not JSON."""
        last = ""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.strip() and not line.startswith("{"):
                    last = line.strip()
        return last


class ServiceManager:
    """All slots; a thread watches and restarts their processes."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        seeded_bug: str | None,
        command: Sequence[str] = ("run",),
        *,
        static: bool,
    ) -> None:
        self._folder = folder
        self._command = command
        self._static = static
        self._variables = dict(variables)
        if seeded_bug is not None:
            self._variables[SEEDED_BUG_VARIABLE] = seeded_bug
        self.slots: dict[str, Slot] = {}
        self.exits: list[ProcessExit] = []
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._watch, name="service-manager", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Slot:
        """Start a process in a slot, which is made if need be."""
        with self._lock:
            slot = self.slots.get(name)
            if slot is None:
                slot = Slot(name, self._folder, self._variables, self._command, static=self._static)
                self.slots[name] = slot
            slot.suspended = False
            slot.start()
        return slot

    @contextlib.contextmanager
    def suspended(self, *slots: Slot) -> Iterator[None]:
        """Do not restart processes of these slots meanwhile."""
        for slot in slots:
            slot.suspended = True
        try:
            yield
        finally:
            for slot in slots:
                slot.suspended = False

    def retire(self, slot: Slot, number: signal.Signals) -> None:
        """End the processes of a slot without a restart."""
        slot.suspended = True
        slot.signal(number)

    def await_end(self, slot: Slot, seconds: float = _END_S) -> bool:
        """Wait until no process of a slot is left; False when that takes longer."""
        deadline = time.monotonic() + seconds
        while slot.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        self._collect_exits()
        return True

    def stop(self) -> None:
        """Kill what is left, and stop the thread."""
        self._stop.set()
        self._thread.join()
        for slot in self.slots.values():
            slot.signal(signal.SIGCONT)
            slot.signal(signal.SIGKILL)
            for process in slot.processes:
                process.wait()
        self._collect_exits()

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_S):
            self._collect_exits()
            with self._lock:
                for slot in self.slots.values():
                    if (
                        not slot.suspended
                        and not slot.alive()
                        and time.monotonic() > slot.restart_at
                    ):
                        slot.start()

    def _collect_exits(self) -> None:
        with self._lock:
            for slot in self.slots.values():
                for process in [each for each in slot.processes if each.poll() is not None]:
                    slot.processes.remove(process)
                    self._record_exit(slot, process)

    def _record_exit(self, slot: Slot, process: subprocess.Popen[bytes]) -> None:
        code = process.returncode
        requested = process.pid in slot.requested or (code == -signal.SIGKILL and slot.fired())
        was_last = not slot.alive()
        message = slot.message() if code in set(ExitCode) else ""
        self.exits.append(ProcessExit(slot.name, code, requested, was_last, message))
        killed = code < 0
        slot.restart_at = time.monotonic() + (0.0 if killed else _BACK_OFF_S)
