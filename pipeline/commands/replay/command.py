"""`track-pipeline replay`: says what it would do, and with `--execute` does it."""

from __future__ import annotations

from dataclasses import replace

import click

from pipeline.commands.replay.capture import (
    Outlook,
    capture,
    refuse_other_topic,
    settings_hash,
)
from pipeline.commands.replay.correcting import counted_differences
from pipeline.commands.replay.executing import execute, execute_part
from pipeline.commands.replay.file_capture import capture_files, looked_at_again
from pipeline.commands.replay.options import Asked
from pipeline.commands.replay.plan_view import print_plan
from pipeline.commands.replay.plans_topic import PlansTopic, refuse_ended
from pipeline.edges.processes import Place
from pipeline.ports import RefusedError
from pipeline.replay.plan import Plan, PlanRecord, State, Target
from pipeline.settings import SettingsError
from pipeline.topics import refuse_forbidden
from pipeline.wiring import admin


def replay_or_plan(asked: Asked, place: Place | None) -> None:
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
    settings = asked.settings
    plans, cluster = PlansTopic(settings), admin(settings)
    cluster.wait_until_reachable()
    record = plans.one(id_)
    refuse_ended(record)
    survey = None
    if record.plan.archive is None:
        refuse_other_topic(record.plan, cluster.topics([record.plan.raw_topic]))
    else:
        survey = looked_at_again(record.plan.archive, asked.spill_dir)
    record = _with_rules_of_now(asked, record)
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


def _with_rules_of_now(asked: Asked, record: PlanRecord) -> PlanRecord:
    """RefusedError when rules or settings have changed, unless it was said that they may."""
    settings, plan = asked.settings, record.plan
    contract, hashed = settings.contract(), settings_hash(settings)
    if (contract, hashed) == (plan.contract, plan.settings):
        return record
    if not asked.force:
        raise RefusedError(
            f"replay {plan.id} was begun under other rules or settings ({plan.contract}, now "
            f"{contract}): one output would hold results of both. Resume it with the same ones, "
            "make a new replay, or say --force"
        )
    PlansTopic(settings).note(replace(plan, contract=contract, settings=hashed), record.state)
    return replace(record, plan=replace(plan, contract=contract, settings=hashed))
