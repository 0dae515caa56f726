"""The workers' processes, and what a service manager does for them: start them again.

Each worker has a slot with a name (its instance id), a log and a file of orders. Who ends by itself
is started again after a moment; exit 3 only when no other process of the slot is left.
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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import ExitCode
from tests.system.chaos.orders import Order, fired_file, give
from tests.system.chaos.worker_main import ORDERS_VARIABLE, SABOTAGE_VARIABLE
from tests.unit.cli.program import environment

_WATCH_S: Final = 0.05
_BACK_OFF_S: Final = 0.5
_END_S: Final = 30.0


class Ended(NamedTuple):
    """How one process ended."""

    slot: str
    code: int
    """As subprocess has it: -9 for SIGKILL."""
    asked: bool
    """Whether it was told to end, or killed, by us."""
    alone: bool
    """Whether no other process of its slot was alive."""
    words: str
    """The last line of its log that is not JSON: the sentence for the operator."""


class Slot:
    """One worker by name; a zombie and its successor are two processes of one slot."""

    def __init__(
        self, name: str, folder: Path, variables: Mapping[str, str], *, static: bool
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.orders = folder / f"{name}.order"
        self._environment = {
            **environment(),
            **variables,
            # One transactional id for each slot, whatever the membership.
            "TRACK_INSTANCE_ID" if static else "TRACK_TRANSACTIONAL_ID_PREFIX": name,
            ORDERS_VARIABLE: str(self.orders),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.held = False
        """Whether the service manager leaves it alone."""
        self.asked: set[int] = set()
        """Process ids of those that we have told to end."""
        self.again_at = 0.0

    def start(self) -> subprocess.Popen[bytes]:
        """One more process."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.chaos.worker_main", "run"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Its processes that have not ended."""
        return [process for process in self.processes if process.poll() is None]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.alive():
            if number in {signal.SIGKILL, signal.SIGTERM}:
                self.asked.add(process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def order(self, order: Order) -> None:
        """Give an order, which is carried out when its point is passed."""
        give(self.orders, order)

    def take_back(self) -> bool:
        """Remove an order; True when it was still there."""
        try:
            self.orders.unlink()
        except FileNotFoundError:
            return False
        return True

    def obeyed(self) -> bool:
        """Whether the last order was carried out."""
        return fired_file(self.orders).exists()

    def lines(self) -> Iterator[dict[str, Any]]:
        """All JSON lines of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.startswith("{"):
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def words(self) -> str:
        """The last line of its log that is for people."""
        spoken = ""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.strip() and not line.startswith("{"):
                    spoken = line.strip()
        return spoken


class Fleet:
    """All slots, watched by a thread."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str], sabotage: str | None, *, static: bool
    ) -> None:
        self._folder = folder
        self._static = static
        self._variables = dict(variables)
        if sabotage is not None:
            self._variables[SABOTAGE_VARIABLE] = sabotage
        self.slots: dict[str, Slot] = {}
        self.ended: list[Ended] = []
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._thread.start()

    def add(self, name: str) -> Slot:
        """A slot, and its first process."""
        with self._lock:
            slot = self.slots.get(name)
            if slot is None:
                slot = Slot(name, self._folder, self._variables, static=self._static)
                self.slots[name] = slot
            slot.held = False
            slot.start()
        return slot

    @contextlib.contextmanager
    def held(self, *slots: Slot) -> Iterator[None]:
        """Keep the service manager away from these slots meanwhile."""
        for slot in slots:
            slot.held = True
        try:
            yield
        finally:
            for slot in slots:
                slot.held = False

    def retire(self, slot: Slot, number: signal.Signals) -> None:
        """End a slot for good."""
        slot.held = True
        slot.signal(number)

    def await_end(self, slot: Slot, seconds: float = _END_S) -> bool:
        """Wait until no process of a slot is left; whether that came true in time."""
        deadline = time.monotonic() + seconds
        while slot.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_WATCH_S)
        self._collect_ended()
        return True

    def end(self) -> None:
        """Kill whatever is left, and stop watching."""
        self._stop.set()
        self._thread.join()
        for slot in self.slots.values():
            slot.signal(signal.SIGCONT)
            slot.signal(signal.SIGKILL)
            for process in slot.processes:
                process.wait()
        self._collect_ended()

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_S):
            self._collect_ended()
            with self._lock:
                for slot in self.slots.values():
                    if not slot.held and not slot.alive() and time.monotonic() > slot.again_at:
                        slot.start()

    def _collect_ended(self) -> None:
        with self._lock:
            for slot in self.slots.values():
                for process in [each for each in slot.processes if each.poll() is not None]:
                    slot.processes.remove(process)
                    self._note(slot, process)

    def _note(self, slot: Slot, process: subprocess.Popen[bytes]) -> None:
        code = process.returncode
        asked = process.pid in slot.asked or (code == -signal.SIGKILL and slot.obeyed())
        alone = not slot.alive()
        words = slot.words() if code in set(ExitCode) else ""
        self.ended.append(Ended(slot.name, code, asked, alone, words))
        killed = code < 0
        slot.again_at = time.monotonic() + (0.0 if killed else _BACK_OFF_S)
