"""Doing what a plan says, in this process or in several, and what is said in the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import msgspec

from pipeline.cli.main import Failure, code_of
from pipeline.cli.replay.options import Asked
from pipeline.cli.replay.progress import watched
from pipeline.errors import DataLossError, ExitCode, FencedError, RefusedError, TransportError
from pipeline.kafka import Owner
from pipeline.ports import TopicFacts
from pipeline.replay.file_scan import Survey
from pipeline.replay.finish import say_end, way_on
from pipeline.replay.output_selection import choice, noted_choice
from pipeline.replay.plan import Plan, PlanRecord, State
from pipeline.replay.plan_settings import with_kept
from pipeline.replay.plan_store import PlansTopic, refuse_ended
from pipeline.replay.slot import work
from pipeline.replay.takeover import new_owner, take_over
from pipeline.settings.model import Settings
from pipeline.topics import refuse_forbidden
from pipeline.wiring import admin
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import configure_logging
from pipeline.worker.processes import SIGNALS, InheritedHandles, WorkerProcesses, follow
from pipeline.worker.restart_policy import WorkerExit
from pipeline.worker.shared_state import unnamed_file
from pipeline.worker.signals import listening, stop_on_signals, stopping_on_signals

_WAIT_S: Final = 1.0


class _Part(msgspec.Struct):
    """What a process of several is told of the replay."""

    plan: Plan
    owner: dict[str, str | int]
    choice: str | None
    """Path of the file of what is chosen; None when everything is written."""


def execute(asked: Asked, record: PlanRecord, deed: str, survey: Survey | None) -> None:
    """Replay to the end, then prove it. Ends the program with the code that says how it went.

    `survey` is of the plan's files, if it has any.
    """
    settings, plan = asked.settings, record.plan
    configure_logging(settings.log.format, settings.log.level)
    facts = output_facts(settings, plan)
    owner = new_owner(deed)
    plans = PlansTopic(settings)
    with _resumable(plan):
        take_over(settings, record, facts, owner, survey=survey)
        # Who cancels a replay notes that before taking it over. So what is noted now is final,
        # unless this process is fenced off.
        noted = plans.one(plan.id)
    refuse_ended(noted)
    with _resumable(plan):
        if noted.state is State.PLANNED:
            plans.note(plan, State.STARTED)
        tune_memory()
        with noted_choice(settings, plan, asked.newly_invalid, asked.spill_dir, survey) as file:
            if plan.slots > 1:
                stopped = _in_several(settings, plan, owner, file)
            else:
                with (
                    choice(plan, file) as chosen,
                    stopping_on_signals() as stop,
                    watched(settings, plan),
                ):
                    work(settings, plan, 0, owner, facts, stop, chosen, survey)
                    stopped = stop.is_set()
        say_end(asked, plan, stopped=stopped)


def output_facts(settings: Settings, plan: Plan) -> dict[str, TopicFacts]:
    """Of the outputs; RefusedError when one is missing or may not be written."""
    names = [target.topic for target in plan.outputs.values()]
    facts = admin(settings).topics(names)
    missing = sorted(set(names) - facts.keys())
    if missing:
        raise RefusedError(
            f"topics do not exist: {', '.join(missing)}; replay {plan.id} writes there, and what "
            "it has written is gone: cancel it, and make a new one"
        )
    refuse_forbidden(facts.values(), "WRITE")
    return facts


@contextmanager
def _resumable(plan: Plan) -> Iterator[None]:
    """An error that leaves the replay as it was also says how to go on."""
    try:
        yield
    except (FencedError, DataLossError):
        raise
    except TransportError as error:
        raise Failure(f"{error}. {way_on(plan)}", code_of(error) or ExitCode.KAFKA) from error


def _in_several(settings: Settings, plan: Plan, owner: Owner, file: Path | None) -> bool:
    """A process for each slot; whether they were stopped. Failure when one of them fails."""
    part = _Part(plan, asdict(owner), None if file is None else str(file))
    failed: WorkerExit | None = None
    stopped = False
    with _handed_over(part) as told, listening(SIGNALS) as signals, watched(settings, plan):
        processes = WorkerProcesses(told, signals)
        for slot in range(plan.slots):
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
    if failed is not None and not stopped:
        outcome = failed.outcome()
        text = f"{outcome.sentence}. {way_on(plan)}"
        raise Failure(text, next(code for code in ExitCode if code == outcome.code))
    return stopped


@contextmanager
def _handed_over(part: _Part) -> Iterator[int]:
    """A file that processes inherit: a plan may be larger than a variable or an argument."""
    descriptor = unnamed_file()
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(part))
        yield descriptor
    finally:
        os.close(descriptor)


def execute_part(settings: Settings, place: InheritedHandles) -> None:
    """Replay one slot, as the process that has started this one says."""
    configure_logging(settings.log.format, settings.log.level)
    size = os.fstat(place.memory).st_size
    # All processes have the same file, and so the same position in it.
    told = msgspec.json.decode(os.pread(place.memory, size, 0), type=_Part)
    owner = msgspec.convert(told.owner, Owner)
    stop: threading.Event = stop_on_signals(settings.shutdown_grace_s)
    follow(place.lifeline, stop)
    plan = told.plan
    settings = with_kept(settings, plan)
    tune_memory()
    if plan.of_slot(place.slot):
        file = None if told.choice is None else Path(told.choice)
        with choice(plan, file) as chosen:
            facts = output_facts(settings, plan)
            work(settings, plan, place.slot, owner, facts, stop, chosen)
    if stop.is_set():
        raise click.exceptions.Exit(ExitCode.OK)
