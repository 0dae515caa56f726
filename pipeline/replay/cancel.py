"""Stopping a replay for good."""

from __future__ import annotations

from pipeline.errors import RefusedError
from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.plan_settings import with_plan_settings
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.run import ReplayRun, new_owner
from pipeline.replay.takeover import take_over
from pipeline.settings.model import Settings


def cancel(settings: Settings, id_: str) -> ReplayPlan:
    """Stop a replay for good: its process is fenced off, and nobody can resume it.

    What it has written stays. RefusedError when it is finished.
    """
    plans = PlanStore(settings)
    record = plans.one(id_)
    if record.state is State.FINISHED:
        raise RefusedError(
            f"replay {id_} is finished: track-pipeline replay delete {id_} removes it"
        )
    plan = record.plan
    plans.note(plan, State.CANCELLED)
    settings = with_plan_settings(settings, plan)
    take_over(ReplayRun(settings, plan, new_owner("cancelled"), {}, record.state), to_write=False)
    return plan
