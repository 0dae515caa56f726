"""Deleting what a replay has left: its output topics, its offsets and its plan."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.kafka import Removal
from pipeline.replay.cancel import cancel
from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.presence import ReplayState, presence_group, process_of, states_of
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX
from pipeline.wiring import admin, topic_names


@dataclass(frozen=True)
class Deletion:
    """What is deleted of a replay, and what is not."""

    plan: ReplayPlan
    state: ReplayState
    topics: tuple[str, ...]
    """Output topics of its own that exist, and the ledger of its dead letters."""
    kept_topics: tuple[str, ...]
    """Output topics that it shares with others, such as the live one."""
    groups: tuple[str, ...]
    """Consumer groups with its offsets."""


def plan_deletion(settings: Settings, id_: str) -> Deletion:
    """Find out what would be deleted; nothing is.

    RefusedError while a process works on the replay, and while a topic of it is in use: named as a
    live topic by these settings, or read by a consumer group.
    """
    record = PlanStore(settings).one(id_)
    plan = record.plan
    process = process_of(settings, plan)
    if process is not None:
        raise RefusedError(
            f"a process at {process} works on replay {id_}: stop it (Ctrl-C, or track-pipeline "
            f"replay cancel {id_}), then delete the replay"
        )
    state = states_of(settings, [record])[id_]
    if state is ReplayState.RUNNING:
        raise RefusedError(f"replay {id_} was begun a moment ago: wait ten seconds, and try again")
    own = _own_topics(plan)
    existing = admin(settings).topics(own)
    _refuse_used(settings, plan, tuple(existing))
    others = (target.topic for target in plan.outputs.values())
    return Deletion(
        plan,
        state,
        tuple(topic for topic in own if topic in existing),
        tuple(topic for topic in others if topic not in own),
        (plan.group, presence_group(plan)),
    )


def _own_topics(plan: ReplayPlan) -> tuple[str, ...]:
    """The outputs that are its own, and the ledger that a redrive from them may have created."""
    dead_letters = plan.outputs.get(Role.DEAD_LETTER)
    if dead_letters is None or dead_letters.topic not in plan.own_topics:
        return plan.own_topics
    return (*plan.own_topics, dead_letters.topic + LEDGER_SUFFIX)


def _refuse_used(settings: Settings, plan: ReplayPlan, topics: tuple[str, ...]) -> None:
    live = sorted(set(topics) & set(topic_names(settings)))
    if live:
        raise RefusedError(
            f"{', '.join(live)}: these settings name it as a live topic, so replay {plan.id} can't "
            "be deleted"
        )
    readers = Removal(settings.kafka, settings.startup_timeout_s).readers(topics)
    if readers:
        used = "; ".join(
            f"{topic} is read by group {', '.join(sorted(groups))}"
            for topic, groups in sorted(readers.items())
        )
        raise RefusedError(
            f"{used}: stop these consumers, or let them read another topic, then delete replay "
            f"{plan.id}"
        )


def delete(settings: Settings, deletion: Deletion) -> tuple[str, ...]:
    """Delete a replay; the topics that were there.

    Guarantees: a process that might still be alive can't write any more, since the replay is
    cancelled before anything is deleted, also when a cancellation was interrupted before. The plan
    goes last, so that a deletion that was interrupted can be done again.
    """
    plan, plans = deletion.plan, PlanStore(settings)
    if plans.one(plan.id).state is not State.FINISHED:
        cancel(settings, plan.id)
    removal = Removal(settings.kafka, settings.startup_timeout_s)
    deleted = removal.delete_topics(deletion.topics)
    removal.delete_groups(deletion.groups)
    plans.forget(plan)
    return tuple(deleted)
