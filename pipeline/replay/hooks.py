"""What the caller of a replay hands in: how the work is reported, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Event

from pipeline.ports import Stop
from pipeline.progress import OnProgress
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.status import ReplayStatus

OnNotice = Callable[[str], None]
"""Receives a sentence that an operator should read, though nothing is wrong."""


def _never() -> AbstractContextManager[Stop]:
    return nullcontext(Event())


@dataclass(frozen=True)
class ReplayHooks:
    """Everything has a default: a replay without hooks is silent and runs to its end."""

    on_progress: OnProgress | None = None
    """Receives the progress of a scan of files, and of a comparison."""
    on_notice: OnNotice = lambda _: None
    on_comparison: Callable[[ComparisonReport, ReplayPlan], None] = lambda *_: None
    """Receives what a correction run has found, before it writes."""
    on_status: Callable[[ReplayStatus], None] | None = None
    """Receives, from another thread, how far the replay is while it writes."""
    status_interval_s: float = 10.0
    """Seconds between two calls of `on_status`."""
    stopping: Callable[[], AbstractContextManager[Stop]] = _never
    """Opens what can stop the replay while it writes."""
    restarts_command: bool = False
    """Whether the command line of this process, run again, works on a slot; see
    `worker.processes`. Only the command sets it. Several workers need it."""
