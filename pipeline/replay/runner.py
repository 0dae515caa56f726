"""Doing what a plan says: begin or resume a replay, then run it to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pipeline.errors import DataLossError, FencedError, SettingsError, TransportError
from pipeline.replay.capture import PlanPreview
from pipeline.replay.finish import Interrupted, ReplayResult, finish, resume_hint
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.output_selection import noted_selection, selection
from pipeline.replay.plan import ReplayPlan, State, Target
from pipeline.replay.plan_store import PlanStore, refuse_cancelled
from pipeline.replay.presence import being_present
from pipeline.replay.processes import work_in_processes
from pipeline.replay.request import ReplayRequest
from pipeline.replay.run import ReplayRun, new_owner, output_facts
from pipeline.replay.slot import work
from pipeline.replay.takeover import take_over
from pipeline.replay.watch import watching
from pipeline.topics import require_permission
from pipeline.wiring import admin
from pipeline.worker.restart_policy import SupervisorResult


def begin(
    request: ReplayRequest, preview: PlanPreview, hooks: ReplayHooks | None = None
) -> ReplayRun:
    """Make the topics of a replay that was planned, and write its plan down.

    SettingsError when its window is empty.
    """
    settings, outputs, plan = request.settings, preview.outputs, preview.plan
    if not plan.offsets:
        why = [f"partition {number}: {reason}" for number, reason in preview.empty.items()]
        what = "; ".join(why) or "the files have no lines"
        raise SettingsError([f"the window is empty, so there is nothing to do: {what}"])
    require_permission(outputs.existing.values(), "WRITE")
    plans, cluster = PlanStore(settings), admin(settings)
    plans.create(preview.replication)
    cluster.create(outputs.new)
    targets = {
        role: Target(
            target.topic,
            {number: end for number, (_, end) in cluster.extents(target.topic).items()},
        )
        for role, target in plan.outputs.items()
    }
    record = plans.note(replace(plan, outputs=targets), State.PLANNED)
    return ReplayRun(
        settings,
        record.plan,
        new_owner("begun"),
        output_facts(settings, record.plan),
        record.state,
        scan=preview.scan,
        newly_invalid=request.newly_invalid,
        spill_dir=request.spill_dir,
        hooks=hooks or ReplayHooks(),
    )


def execute(run: ReplayRun) -> ReplayResult | Interrupted:
    """Run a replay to its end, and verify it.

    Guarantees: outputs and offsets are committed together, so each selected event of the window
    has its outputs exactly once, however often the replay is interrupted and resumed. Nothing is
    read from or committed to the group of the live worker.

    Errors that leave the replay as it was carry a note that says how to go on.
    """
    plan = run.plan
    if plan.slots > 1 and not run.hooks.restarts_command:
        raise SettingsError(
            [f"replay {plan.id} has {plan.slots} workers, which only the command can start"]
        )
    with being_present(run.settings, plan):
        return _executed(run)


def _executed(run: ReplayRun) -> ReplayResult | Interrupted:
    plan, plans = run.plan, PlanStore(run.settings)
    with resumable(plan):
        take_over(run)
        # Who cancels a replay notes that before taking it over. So what is noted now is final,
        # unless this process is fenced off.
        noted = plans.one(plan.id)
    refuse_cancelled(noted)
    with resumable(plan):
        if run.is_replanned or noted.state is State.PLANNED:
            was_planned = noted.state is State.PLANNED
            plans.note(plan, State.STARTED if was_planned else noted.state)
        stopped, failure = _work(run)
        if failure is not None:
            return Interrupted(None, failure)
        return finish(run, stopped=stopped)


def _work(run: ReplayRun) -> tuple[bool, SupervisorResult | None]:
    """Whether the work was stopped, and how a worker has failed."""
    with noted_selection(run) as file:
        if run.plan.slots > 1:
            return work_in_processes(run, file)
        with (
            selection(run.plan, file) as chosen,
            run.hooks.stopping() as stop,
            watching(run),
        ):
            work(replace(run, stop=stop, selection=chosen), 0)
            return stop.is_set(), None


@contextmanager
def resumable(plan: ReplayPlan) -> Iterator[None]:
    """Note on an error that leaves the replay as it was how to go on."""
    try:
        yield
    except (FencedError, DataLossError):
        raise
    except TransportError as error:
        error.add_note(resume_hint(plan))
        raise
