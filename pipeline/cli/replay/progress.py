"""How far a replay is while it runs: a bar for each partition on a terminal, lines elsewhere.

It asks for the offsets that are committed, whichever process works.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from pipeline.errors import TransportError
from pipeline.replay.plan import Plan
from pipeline.replay.status import Standing, standing
from pipeline.replay.wiring import replay_offsets
from pipeline.settings.model import Settings

_BAR_S: Final = 1.0
_LINE_S: Final = 10.0
_RECENT_S: Final = 30.0
"""What the speed is an average of."""
_MINUTE: Final = 60


class _Shown(Protocol):
    def show(self, now: Standing) -> None: ...


@contextmanager
def watched(settings: Settings, plan: Plan) -> Iterator[None]:
    """Show progress on standard error within the block."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _watching(settings, plan, _Lines(), _LINE_S):
            yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with (
        Progress(*columns, console=console, transient=True) as bars,
        _watching(settings, plan, _Bars(bars, plan), _BAR_S),
    ):
        yield


@contextmanager
def _watching(settings: Settings, plan: Plan, shown: _Shown, every_s: float) -> Iterator[None]:
    over = threading.Event()
    offsets = replay_offsets(settings, plan)

    def watch() -> None:
        pause_s = _BAR_S  # the first line soon: it lives
        while not over.wait(pause_s):
            pause_s = every_s
            try:
                found = offsets.read(part.partition for part in plan.parts)
            except TransportError:
                continue  # the worker says what is wrong
            shown.show(standing(plan, found))

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class Speed:
    """How fast it goes of late, and what is left at that.

    Offsets tell what is left, since each passes once; events are what `--rate` counts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._clock = clock
        self._looks: deque[tuple[float, int, int]] = deque()

    def text(self, now: Standing) -> str:
        """`1,200 events/s, 0:10 left, 3 dead letters`."""
        clock, events, done = self._clock(), now.totals.events, now.done
        looks = self._looks
        looks.append((clock, events, done))
        # One look is kept that is as old as the span, so that it is covered whole.
        while len(looks) > 1 and clock - looks[1][0] >= _RECENT_S:
            looks.popleft()
        since, events_then, done_then = looks[0]
        lasted = clock - since
        letters = f"{now.totals.refused:,} dead letters"
        if lasted <= 0 or done == done_then:
            return letters
        left_s = int((now.plan.offsets - done) * lasted / (done - done_then))
        left = f"{left_s // _MINUTE}:{left_s % _MINUTE:02}"
        return f"{(events - events_then) / lasted:,.0f} events/s, {left} left, {letters}"


class _Lines:
    def __init__(self) -> None:
        self._speed = Speed()

    def show(self, now: Standing) -> None:
        click.echo(
            f"replay {now.plan.id}: {now.done:,} of {now.plan.offsets:,} {now.plan.unit}, "
            f"{self._speed.text(now)}",
            err=True,
        )


class _Bars:
    def __init__(self, bars: Progress, plan: Plan) -> None:
        self._bars = bars
        self._speed = Speed()
        self._all = bars.add_task("replaying", total=plan.offsets)
        self._tasks: dict[int, TaskID] = {
            part.partition: bars.add_task(f"partition {part.partition}", total=part.offsets)
            for part in plan.parts
            if part.offsets and plan.archive is None
        }

    def show(self, now: Standing) -> None:
        self._bars.update(self._all, completed=now.done, description=self._speed.text(now))
        for part in now.plan.parts:
            if part.partition in self._tasks:
                at = now.positions.get(part.partition, part.start)
                self._bars.update(
                    self._tasks[part.partition],
                    completed=at - part.start,
                    description=f"partition {part.partition}, at {at:,}",
                )
