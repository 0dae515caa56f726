"""Orders to a worker's process: at a named point, once, die, stop, sleep, lose a seek.

The engine writes an order into the file of a worker's slot; the process reads it, and takes it by
renaming the file when it is carried out, which is how the engine knows. Points are passed in this
order: COLLECTING (records were read), BEFORE_PRODUCE, AFTER_PRODUCE, AFTER_SEND_OFFSETS,
DURING_COMMIT, AFTER_COMMIT. SEEK is when one goes back to the start of a lost transaction, and
NARROWING when a batch is about to be tried in halves.
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
    """Where an order is carried out."""

    COLLECTING = "collecting"
    BEFORE_PRODUCE = "before_produce"
    AFTER_PRODUCE = "after_produce"
    AFTER_SEND_OFFSETS = "after_send_offsets"
    DURING_COMMIT = "during_commit"
    AFTER_COMMIT = "after_commit"
    SEEK = "seek"
    NARROWING = "narrowing"


KILL_POINTS: Final = (
    Point.BEFORE_PRODUCE,
    Point.AFTER_PRODUCE,
    Point.AFTER_SEND_OFFSETS,
    Point.DURING_COMMIT,
    Point.AFTER_COMMIT,
)


class Act(StrEnum):
    """What is done there."""

    KILL = "kill"
    STOP = "stop"
    """SIGSTOP: the engine lets the process go on when it wants to."""
    SLEEP = "sleep"
    SKIP = "skip"
    """The call at this point does nothing."""
    STEP_CLOCK = "step_clock"


class Order(NamedTuple):
    """One order."""

    point: Point
    act: Act
    passes: int = 0
    """How often the point is passed before."""
    seconds: float = 0.0
    """To sleep, to wait until a kill during a call, or to step the clock by."""
    after: Point | None = None
    """Another point that must be passed first."""


def fired_file(path: Path) -> Path:
    """What the file of an order is renamed to."""
    return path.with_suffix(".fired")


def give(path: Path, order: Order) -> None:
    """Write an order; the file appears whole."""
    fired_file(path).unlink(missing_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(order))
    scratch.replace(path)


def say(event: str, **fields: Any) -> None:
    """A line in the worker's log, which the engine reads as evidence."""
    now = datetime.now(UTC).isoformat()
    line = json.dumps({"event": f"chaos.{event}", **fields, "timestamp": now}) + "\n"
    os.write(sys.stderr.fileno(), line.encode())


class Orders:
    """Of this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._order: Order | None = None
        self._passes = 0
        self._seen = 0
        self._armed = False
        self.clock_step_s = 0.0
        """How far this process's clock is ahead of the machine's."""
        self._acts: dict[Act, Callable[[Order], None]] = {
            Act.KILL: lambda _: os.kill(os.getpid(), signal.SIGKILL),
            Act.STOP: lambda _: os.kill(os.getpid(), signal.SIGSTOP),
            Act.SLEEP: lambda order: time.sleep(order.seconds),
            Act.SKIP: lambda _: None,
            Act.STEP_CLOCK: self._step_clock,
        }

    def passing(self, point: Point) -> bool:
        """This point is passed; True when the call here is to be skipped."""
        order = self._due(point)
        if order is None:
            return False
        if point is Point.DURING_COMMIT:
            threading.Timer(order.seconds, self._carry_out, [order]).start()
        else:
            self._carry_out(order)
        return order.act is Act.SKIP

    def _due(self, point: Point) -> Order | None:
        try:
            seen = self._path.stat().st_mtime_ns
            if seen != self._seen:
                self._order = _read(self._path)
                self._seen, self._passes = seen, 0
                self._armed = self._order.after is None
        except FileNotFoundError:
            return None
        order = self._order
        if order is None:
            return None
        self._armed = self._armed or order.after == point
        if order.point != point or not self._armed:
            return None
        self._passes += 1
        return order if self._passes > order.passes else None

    def _carry_out(self, order: Order) -> None:
        try:
            self._path.rename(fired_file(self._path))
        except FileNotFoundError:
            return  # another process of this slot was faster, or the engine took it back
        say("order", point=order.point, act=order.act)
        self._acts[order.act](order)

    def _step_clock(self, order: Order) -> None:
        self.clock_step_s += order.seconds


def _read(path: Path) -> Order:
    point, act, passes, seconds, after = json.loads(path.read_text())
    return Order(Point(point), Act(act), passes, seconds, Point(after) if after else None)
