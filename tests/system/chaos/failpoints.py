"""Failpoints in a worker process: at a named point, once, kill, stop, sleep or skip a call.

The engine arms a failpoint by writing it into the file of a worker's slot. The process reads the
file and renames it when the failpoint fires, which tells the engine that it did. A batch passes
the points in this order: AFTER_CONSUME, BEFORE_PRODUCE, AFTER_PRODUCE, AFTER_SEND_OFFSETS,
DURING_COMMIT, AFTER_COMMIT. SEEK is passed on the way back to the start of an aborted transaction,
and BISECTING when a batch is about to be split to find a record that the broker rejects.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple


class Point(StrEnum):
    """A place in the worker where a failpoint can fire."""

    AFTER_CONSUME = "after_consume"
    BEFORE_PRODUCE = "before_produce"
    AFTER_PRODUCE = "after_produce"
    AFTER_SEND_OFFSETS = "after_send_offsets"
    DURING_COMMIT = "during_commit"
    AFTER_COMMIT = "after_commit"
    SEEK = "seek"
    BISECTING = "bisecting"


KILL_POINTS: Final = (
    Point.BEFORE_PRODUCE,
    Point.AFTER_PRODUCE,
    Point.AFTER_SEND_OFFSETS,
    Point.DURING_COMMIT,
    Point.AFTER_COMMIT,
)


class Action(StrEnum):
    """What happens when a failpoint fires."""

    KILL = "kill"
    STOP = "stop"
    """SIGSTOP; the engine sends SIGCONT later."""
    SLEEP = "sleep"
    SKIP = "skip"
    """The call at this point does nothing."""
    STEP_CLOCK = "step_clock"


class Failpoint(NamedTuple):
    """One failpoint, which fires once."""

    point: Point
    action: Action
    passes: int = 0
    """How often the point is passed before it fires."""
    seconds: float = 0.0
    """Time to sleep, delay of a kill during a call, or step of the clock."""
    after: Point | None = None
    """Another point that must be passed first."""


def fired_file(path: Path) -> Path:
    """Name that the file of a failpoint gets when it fires."""
    return path.with_suffix(".fired")


def arm(path: Path, failpoint: Failpoint) -> None:
    """Write a failpoint to its file, atomically."""
    fired_file(path).unlink(missing_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(failpoint))
    scratch.replace(path)


def log_event(event: str, **fields: Any) -> None:
    """Add a line to the worker's log, for the engine to read."""
    now = datetime.now(UTC).isoformat()
    line = json.dumps({"event": f"chaos.{event}", **fields, "timestamp": now}) + "\n"
    os.write(sys.stderr.fileno(), line.encode())


class Failpoints:
    """The failpoints of this process, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failpoint: Failpoint | None = None
        self._passes = 0
        self._read_at = 0
        self._after_passed = False
        self.clock_step_s = 0.0
        """How far this process's clock is ahead of the machine's."""
        self._actions: dict[Action, Callable[[Failpoint], None]] = {
            Action.KILL: lambda _: os.kill(os.getpid(), signal.SIGKILL),
            Action.STOP: lambda _: os.kill(os.getpid(), signal.SIGSTOP),
            Action.SLEEP: lambda failpoint: time.sleep(failpoint.seconds),
            Action.SKIP: lambda _: None,
            Action.STEP_CLOCK: self._step_clock,
        }

    def reached(self, point: Point) -> bool:
        """Pass a point, where a failpoint may fire; True when the call here is to be skipped."""
        failpoint = self._due(point)
        if failpoint is None:
            return False
        if point is Point.DURING_COMMIT:
            threading.Timer(failpoint.seconds, self._fire, [failpoint]).start()
        else:
            self._fire(failpoint)
        return failpoint.action is Action.SKIP

    def _due(self, point: Point) -> Failpoint | None:
        try:
            written_at = self._path.stat().st_mtime_ns
            if written_at != self._read_at:
                self._failpoint = _read(self._path)
                self._read_at, self._passes = written_at, 0
                self._after_passed = self._failpoint.after is None
        except FileNotFoundError:
            return None
        failpoint = self._failpoint
        if failpoint is None:
            return None
        self._after_passed = self._after_passed or failpoint.after == point
        if failpoint.point != point or not self._after_passed:
            return None
        self._passes += 1
        return failpoint if self._passes > failpoint.passes else None

    def _fire(self, failpoint: Failpoint) -> None:
        try:
            self._path.rename(fired_file(self._path))
        except FileNotFoundError:
            return  # another process of this slot was faster, or the engine has disarmed it
        log_event("failpoint", point=failpoint.point, action=failpoint.action)
        self._actions[failpoint.action](failpoint)

    def _step_clock(self, failpoint: Failpoint) -> None:
        self.clock_step_s += failpoint.seconds


def _read(path: Path) -> Failpoint:
    point, action, passes, seconds, after = json.loads(path.read_text())
    return Failpoint(Point(point), Action(action), passes, seconds, Point(after) if after else None)
