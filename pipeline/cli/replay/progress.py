"""How far a replay is while it runs: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.text import Text

from pipeline.cli.output import error_console, print_notice
from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.core.escape import escaped
from pipeline.progress import Progress as Step
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.status import ReplayStatus
from pipeline.worker.signals import stopping_on_signals

_BAR_S: Final = 1.0
_LINE_S: Final = 10.0
_RECENT_S: Final = 30.0
"""What the speed is an average of."""
_MINUTE: Final = 60


@contextmanager
def shown_replay() -> Iterator[ReplayHooks]:
    """Show on standard error what a replay reports within the block, and let signals stop it."""
    console = error_console()
    if not console.is_terminal:
        lines = _StatusLines()
        with shown_progress(console) as on_progress:
            yield ReplayHooks(
                on_progress=on_progress,
                on_notice=print_notice,
                on_comparison=lambda *found: print_notice(_comparison(*found)),
                on_status=lines.show,
                status_interval_s=_LINE_S,
                stopping=stopping_on_signals,
                restarts_command=True,
            )
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    progress = Progress(*columns, console=console, transient=True)
    # Its thread must not get the signals that stop a replay; it inherits what is blocked here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    progress.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with progress:
        bars = _Bars(progress, console)
        yield ReplayHooks(
            on_progress=bars.step,
            on_notice=bars.notice,
            on_comparison=lambda *found: bars.notice(_comparison(*found)),
            on_status=bars.show,
            status_interval_s=_BAR_S,
            stopping=stopping_on_signals,
            restarts_command=True,
        )


def _comparison(report: ComparisonReport, plan: ReplayPlan) -> str:
    return f"{differences_sentence(report)} {' and '.join(plan.only)} are written"


class Speed:
    """How fast a replay goes of late, and what is left at that speed.

    Offsets tell what is left, since each passes once; events are what `--rate` counts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._clock = clock
        self._looks: deque[tuple[float, int, int]] = deque()

    def text(self, status: ReplayStatus) -> str:
        """`1,200 events/s, 0:10 left, 3 dead letters`."""
        clock, events, done = self._clock(), status.totals.events, status.done
        looks = self._looks
        looks.append((clock, events, done))
        # One look is kept that is as old as the span, so that it is covered whole.
        while len(looks) > 1 and clock - looks[1][0] >= _RECENT_S:
            looks.popleft()
        since, events_then, done_then = looks[0]
        lasted = clock - since
        rejected = f"{status.totals.rejected:,} dead letters"
        if lasted <= 0 or done == done_then:
            return rejected
        left_s = int((status.plan.offsets - done) * lasted / (done - done_then))
        left = f"{left_s // _MINUTE}:{left_s % _MINUTE:02}"
        return f"{(events - events_then) / lasted:,.0f} events/s, {left} left, {rejected}"


def _done(status: ReplayStatus) -> str:
    return f"{status.done:,} of {status.plan.offsets:,} {status.plan.unit}"


class _StatusLines:
    """A line now and then."""

    def __init__(self) -> None:
        self._speed = Speed()

    def show(self, status: ReplayStatus) -> None:
        """Print how far it is."""
        print_notice(f"replay {status.plan.id}: {_done(status)}, {self._speed.text(status)}")


class _Bars:
    """A bar for each step of the work, and for each partition while records are replayed."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress, self._console = progress, console
        self._speed = Speed()
        self._tasks: dict[str | int, TaskID] = {}

    def notice(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(Text(escaped(text)), soft_wrap=True)

    def step(self, step: Step) -> None:
        """Show how far one step is."""
        self._update(step.what, step.what, step.done, step.total)

    def show(self, status: ReplayStatus) -> None:
        """Show how far the replay is."""
        plan = status.plan
        # Two lines, so that there is room for a bar in 80 columns.
        text = f"replay: {_done(status)}\n{self._speed.text(status)}"
        self._update("replay", text, status.done, plan.offsets)
        for part in plan.parts:
            if part.offsets and plan.archive is None:
                at = status.positions.get(part.partition)
                where = "not started" if at is None else f"at {at:,}"
                done = 0 if at is None else at - part.start
                self._update(
                    part.partition, f"partition {part.partition}, {where}", done, part.offsets
                )

    def _update(self, name: str | int, text: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(text)
        self._progress.update(self._tasks[name], description=text, completed=done, total=total)
