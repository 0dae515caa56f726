"""`track-pipeline replay`: says what it would do, and with `--execute` does it."""

from __future__ import annotations

import json
from dataclasses import replace

import click

from pipeline.cli.replay.options import Asked
from pipeline.cli.replay.plan_view import print_plan
from pipeline.errors import RefusedError, SettingsError
from pipeline.replay.capture import Outlook, capture, refuse_other_topic
from pipeline.replay.correction_run import counted_differences
from pipeline.replay.file_capture import capture_files, looked_at_again
from pipeline.replay.plan import Plan, PlanRecord, State, Target
from pipeline.replay.plan_settings import differing_settings, planned_anew, settings_hash, with_kept
from pipeline.replay.plan_store import PlansTopic, refuse_ended
from pipeline.replay.runner import execute, execute_part
from pipeline.topics import refuse_forbidden
from pipeline.wiring import admin
from pipeline.worker.processes import InheritedHandles


def replay_or_plan(asked: Asked, place: InheritedHandles | None) -> None:
    """Do what was asked for; with a place, as one of several processes."""
    if place is not None:
        execute_part(asked.settings, place)
    elif asked.resume is not None:
        _resume(asked, asked.resume)
    else:
        outlook = capture_files(asked) if asked.files else capture(asked)
        if asked.only and not asked.execute:
            report = counted_differences(
                asked.settings, outlook.plan, asked.spill_dir, outlook.survey
            )
            outlook = replace(outlook, report=report)
        print_plan(outlook, as_json=asked.as_json, executed=asked.execute)
        if asked.execute:
            _begin(asked, outlook)


def _begin(asked: Asked, outlook: Outlook) -> None:
    settings, where = asked.settings, outlook.outputs
    if not outlook.plan.offsets:
        why = [f"partition {number}: {reason}" for number, reason in outlook.empty.items()]
        what = "; ".join(why) or "the files have no lines"
        raise SettingsError([f"the window is empty, so there is nothing to do: {what}"])
    refuse_forbidden(where.existing.values(), "WRITE")
    plans, cluster = PlansTopic(settings), admin(settings)
    plans.create(outlook.replication)
    cluster.create(where.new)
    plan = outlook.plan
    outputs = {
        role: Target(
            target.topic,
            {number: end for number, (_, end) in cluster.extents(target.topic).items()},
        )
        for role, target in plan.outputs.items()
    }
    record = plans.note(replace(plan, outputs=outputs), State.PLANNED)
    click.echo(f"replay {plan.id} begins", err=True)
    execute(asked, record, "begun", outlook.survey)


def _resume(asked: Asked, id_: str) -> None:
    plans, cluster = PlansTopic(asked.settings), admin(asked.settings)
    cluster.wait_until_reachable()
    record = plans.one(id_)
    refuse_ended(record)
    survey = None
    if record.plan.archive is None:
        refuse_other_topic(record.plan, cluster.topics([record.plan.raw_topic]))
    else:
        survey = looked_at_again(record.plan.archive, asked.spill_dir)
    asked, record = _under_its_rules(asked, record)
    plan = record.plan
    if asked.workers not in {None, plan.slots}:
        click.echo(
            f"{plan.slots} workers, as planned: their number is fixed once a replay has begun",
            err=True,
        )
    execute(asked, replace(record, plan=_adjusted(plan, asked)), "resumed", survey)


def _adjusted(plan: Plan, asked: Asked) -> Plan:
    """What may be another one each time."""
    if asked.rate is not None:
        plan = replace(plan, rate=asked.rate)
    if asked.max_invalid_ratio is not None:
        plan = replace(plan, max_invalid_ratio=asked.max_invalid_ratio)
    if asked.breaker is not None:
        plan = replace(plan, breaker=asked.breaker)
    return plan


def _under_its_rules(asked: Asked, record: PlanRecord) -> tuple[Asked, PlanRecord]:
    """The settings of its plan, or with --force the rules of now.

    RefusedError when settings are given that differ, or the program has other rules by now.
    """
    settings, plan = asked.settings, record.plan
    if asked.force:
        plan = replace(plan, **planned_anew(plan, settings))
        PlansTopic(settings).note(plan, record.state)
        return replace(asked, settings=with_kept(settings, plan)), replace(record, plan=plan)
    differing = list(differing_settings(settings, plan)) if plan.kept is not None else []
    given = [str(each) for each in differing if each.source]
    if given:
        raise RefusedError(
            f"replay {plan.id} was begun under other settings: {'; '.join(given)}. One output "
            "would hold results of both. Without them it goes on as it was planned; else make a "
            "new replay, or say --force"
        )
    settings = with_kept(settings, plan)
    if (settings.contract(), settings_hash(settings)) != (plan.contract, plan.settings):
        why = "settings" if plan.kept is None else "rules"
        raise RefusedError(
            f"replay {plan.id} was begun under other {why}, by version {plan.version}: its "
            f"contract is {plan.contract}, now it is {settings.contract()}. One output would hold "
            "results of both: go on as it was begun, make a new replay, or say --force"
        )
    if differing:
        said = ", ".join(f"{each.name} = {json.dumps(each.planned)}" for each in differing)
        click.echo(f"goes on under the settings of its plan: {said}", err=True)
    return replace(asked, settings=settings), record
