"""Stopping a replay for good."""

from __future__ import annotations

from pipeline.errors import RefusedError
from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.run import ReplayRun, new_owner
from pipeline.replay.takeover import end_writers, take_over
from pipeline.settings.model import Settings
from pipeline.wiring import admin


def cancel(settings: Settings, id_: str) -> ReplayPlan:
    """Stop a replay for good: its process is fenced off, and nobody can resume it.

    What it has written stays. RefusedError when it is finished.

    Guarantees: what can be rejected comes before the cancellation is noted, and fencing right
    behind. When Kafka does not answer in between, cancelling again does the rest. The settings of
    the plan are not needed, so plans of other versions can be cancelled; nor is the raw topic.
    """
    plans = PlanStore(settings)
    record = plans.one(id_)
    if record.state is State.FINISHED:
        raise RefusedError(
            f"replay {id_} is finished: track-pipeline replay delete {id_} removes it"
        )
    plan = record.plan
    run = ReplayRun(settings, plan, new_owner("cancelled"), {}, record.state)
    topic = plan.progress_topic
    has_topic = topic in admin(settings).topics([topic])
    plans.note(plan, State.CANCELLED)
    if has_topic:
        take_over(run, to_write=False)
    else:
        end_writers(run)
    return plan
