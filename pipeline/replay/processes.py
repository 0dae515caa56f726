"""A replay in several processes: one for each slot, and this one, which starts and watches them.

A process of a slot is the command of this process once more, see `worker.processes`. Its exit codes
mean what those of the command mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from pipeline.errors import ExitCode
from pipeline.kafka import Owner
from pipeline.replay.output_selection import selection
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.plan_settings import with_plan_settings
from pipeline.replay.run import ReplayRun, output_facts
from pipeline.replay.slot import work
from pipeline.replay.watch import watching
from pipeline.settings.model import Settings
from pipeline.worker.processes import SIGNALS, InheritedHandles, WorkerProcesses, follow
from pipeline.worker.restart_policy import SupervisorResult, WorkerExit
from pipeline.worker.shared_state import unnamed_file
from pipeline.worker.signals import listening, stop_on_signals

_WAIT_S: Final = 1.0


class _SlotTask(msgspec.Struct):
    """What a process of a slot inherits."""

    plan: ReplayPlan
    owner: dict[str, str | int]
    selection: str | None
    """Path of the file of the selection; None when everything is written."""


def work_in_processes(run: ReplayRun, file: Path | None) -> tuple[bool, SupervisorResult | None]:
    """Run a process for each slot: whether they were stopped, and how the first one failed.

    `file` has the selection. When one process fails the others are stopped. A signal stops all of
    them after the transaction at hand, a second one at once.
    """
    task = _SlotTask(run.plan, asdict(run.owner), None if file is None else str(file))
    failed: WorkerExit | None = None
    stopped = False
    with _inherited(task) as memory, listening(SIGNALS) as signals, watching(run):
        processes = WorkerProcesses(memory, signals)
        for slot in range(run.plan.slots):
            processes.start(slot)
        while processes.alive():
            signal, ended = processes.wait(_WAIT_S)
            if signal is not None:
                if stopped:
                    processes.kill()
                stopped = True
                processes.ask_to_stop()
            for slot, status, out_of_memory in ended:
                if status != ExitCode.OK and failed is None:
                    failed = WorkerExit(slot, status, out_of_memory)
                    processes.ask_to_stop()  # all of it goes on, or nothing
    return stopped, None if failed is None or stopped else failed.outcome()


@contextmanager
def _inherited(task: _SlotTask) -> Iterator[int]:
    """Put the task into a file, since a plan may be larger than a variable or an argument."""
    descriptor = unnamed_file()
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(task))
        yield descriptor
    finally:
        os.close(descriptor)


def run_slot(settings: Settings, place: InheritedHandles) -> None:
    """Replay one slot, as the process that has started this one says."""
    size = os.fstat(place.memory).st_size
    # All processes have the same file, and so the same position in it.
    task = msgspec.json.decode(os.pread(place.memory, size, 0), type=_SlotTask)
    stop = stop_on_signals(settings.shutdown_grace_s)
    follow(place.lifeline, stop)
    plan = task.plan
    if not plan.of_slot(place.slot):
        return
    settings = with_plan_settings(settings, plan)
    file = None if task.selection is None else Path(task.selection)
    with selection(plan, file) as chosen:
        run = ReplayRun(
            settings,
            plan,
            msgspec.convert(task.owner, Owner),
            output_facts(settings, plan),
            stop=stop,
            selection=chosen,
        )
        work(run, place.slot)
