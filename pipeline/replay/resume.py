"""Going on with a replay: its plan, its files, and the rules that it was begun under."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from pipeline.errors import RefusedError
from pipeline.ports import TopicFacts
from pipeline.replay.file_scan import rescan_files
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.plan_settings import (
    differing_settings,
    replan,
    settings_hash,
    with_plan_settings,
)
from pipeline.replay.plan_store import PlanStore, refuse_cancelled
from pipeline.replay.request import ReplayRequest
from pipeline.replay.run import ReplayRun, new_owner, output_facts
from pipeline.settings.model import Settings
from pipeline.wiring import admin


def resume(
    request: ReplayRequest, id_: str, hooks: ReplayHooks | None = None, *, force: bool = False
) -> ReplayRun:
    """Read the plan of a replay, and prepare to go on with it; nothing is written yet.

    The request may change the rate, the invalid ratio and the breaker, and name temporary files;
    the rest of it is the plan's. With `force` the replay goes on under the rules of now. Raises
    RefusedError when settings are given that differ from the plan's, and when the program, the
    raw topic or a file are other ones by now.
    """
    hooks = hooks or ReplayHooks()
    plans, cluster = PlanStore(request.settings), admin(request.settings)
    cluster.wait_until_reachable()
    record = plans.one(id_)
    refuse_cancelled(record)
    archive = record.plan.archive
    if archive is None:
        _refuse_other_topic(record.plan, cluster.topics([record.plan.raw_topic]))
    scan = None if archive is None else rescan_files(archive, request.spill_dir, hooks.on_progress)
    plan = replan(record.plan, request.settings) if force else record.plan
    settings = with_plan_settings(request.settings, plan)
    if not force:
        _refuse_other_rules(request.settings, settings, plan, hooks)
    if request.workers not in {None, plan.slots}:
        hooks.on_notice(
            f"{plan.slots} workers, as planned: their number is fixed once a replay has begun"
        )
    return ReplayRun(
        settings,
        _adjusted(plan, request),
        new_owner("resumed"),
        output_facts(settings, plan),
        record.state,
        is_replanned=force,
        scan=scan,
        newly_invalid=request.newly_invalid,
        spill_dir=request.spill_dir,
        hooks=hooks,
    )


def _adjusted(plan: ReplayPlan, request: ReplayRequest) -> ReplayPlan:
    """Change what may be another value each time."""
    if request.rate is not None:
        plan = replace(plan, rate=request.rate)
    if request.max_invalid_ratio is not None:
        plan = replace(plan, max_invalid_ratio=request.max_invalid_ratio)
    if request.breaker is not None:
        plan = replace(plan, breaker=request.breaker)
    return plan


def _refuse_other_rules(
    now: Settings, settings: Settings, plan: ReplayPlan, hooks: ReplayHooks
) -> None:
    """Raise RefusedError when differing settings were given, or the program has other rules.

    `now` are the settings that were given, `settings` those of the plan beside them.
    """
    differing = list(differing_settings(now, plan)) if plan.kept is not None else []
    set_now = [str(each) for each in differing if each.source]
    if set_now:
        raise RefusedError(
            f"replay {plan.id} was begun under other settings: {'; '.join(set_now)}. One output "
            "would hold results of both. Without them it goes on as it was planned; else make a "
            "new replay, or say --force"
        )
    if (settings.contract(), settings_hash(settings)) != (plan.contract, plan.settings):
        why = "settings" if plan.kept is None else "rules"
        raise RefusedError(
            f"replay {plan.id} was begun under other {why}, by version {plan.version}: its "
            f"contract is {plan.contract}, now it is {settings.contract()}. One output would hold "
            "results of both: go on as it was begun, make a new replay, or say --force"
        )
    if differing:
        said = ", ".join(f"{each.name} = {json.dumps(each.planned)}" for each in differing)
        hooks.on_notice(f"goes on under the settings of its plan: {said}")


def _refuse_other_topic(plan: ReplayPlan, facts: Mapping[str, TopicFacts]) -> None:
    """Raise RefusedError unless the raw topic is still the one that was planned for."""
    topic = facts.get(plan.raw_topic)
    if topic is None:
        raise RefusedError(f"topic {plan.raw_topic}, which replay {plan.id} reads, does not exist")
    if plan.raw_topic_id and topic.id and topic.id != plan.raw_topic_id:
        raise RefusedError(
            f"topic {plan.raw_topic} was deleted and created anew: the offsets of replay {plan.id} "
            "are those of the old one. Make a new replay"
        )
