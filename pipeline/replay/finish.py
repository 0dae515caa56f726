"""The end of a replay: what it did, and whether the topics hold just that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipeline.cli.main import Failure
from pipeline.cli.replay.options import Asked
from pipeline.core.escape import escaped
from pipeline.errors import ExitCode
from pipeline.replay.plan import Plan, State
from pipeline.replay.plan_store import PlansTopic
from pipeline.replay.status import Standing, standing
from pipeline.replay.verification import Proof, judged, noting, written
from pipeline.replay.wiring import output_extents, replay_offsets
from pipeline.settings.model import Settings
from pipeline.wiring import range_reader


def say_end(asked: Asked, plan: Plan, *, stopped: bool) -> None:
    """Say what was done, and prove it once all of it is.

    Ends the program: exit code 0 when everything adds up, 1 when not, 6 when too much was refused,
    130 after a signal.
    """
    settings, as_json = asked.settings, asked.as_json
    found = replay_offsets(settings, plan, stable=True).read(part.partition for part in plan.parts)
    now = standing(plan, found)
    if not now.is_finished:
        _say(now, None, as_json=as_json)
        if stopped:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED)
        raise Failure(f"replay {plan.id} ended before its end: {way_on(plan)}", ExitCode.KAFKA)
    proof = prove(settings, now, asked.spill_dir)
    PlansTopic(settings).note(plan, State.FINISHED)
    _say(now, proof, as_json=as_json)
    if proof.ok:
        _refuse_too_many(now)
    raise click.exceptions.Exit(ExitCode.OK if proof.ok else ExitCode.DIFFERENCE)


def _refuse_too_many(now: Standing) -> None:
    """Of several workers only all together show the share; by then everything is written."""
    refused, events, most = now.totals.refused, now.totals.events, now.plan.max_invalid_ratio
    if refused > events * most:
        raise Failure(
            f"{refused:,} of {events:,} events were refused ({refused / events:.1%}), more than "
            f"--max-invalid-ratio {most:g} tolerates: nobody should use these outputs before that "
            "is understood",
            ExitCode.BREAKER,
        )


def way_on(plan: Plan) -> str:
    """What to do about a replay that has not come to its end."""
    return f"`track-pipeline replay --resume {plan.id}` goes on"


def prove(settings: Settings, now: Standing, spill_dir: Path | None) -> Proof:
    """Read the outputs back, and compare them with what was counted."""
    plan, extents = now.plan, output_extents(settings, now.plan)
    ordered = not settings.accept_origin_headers
    with noting(plan, spill_dir, ordered=ordered) as noted:
        proof = written(range_reader(settings), plan, extents, ordered=ordered, noted=noted)
    return judged(proof, now.totals)


def _say(now: Standing, proof: Proof | None, *, as_json: bool) -> None:
    plan = now.plan
    if as_json:
        document: dict[str, Any] = {
            "id": plan.id,
            "outputs": {role.value: target.topic for role, target in plan.outputs.items()},
            **now.plain(),
            "proof": None if proof is None else proof.plain(),
        }
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
        return
    for line in (*lines(now), *([] if proof is None else _verdict(proof))):
        click.echo(escaped(line))
    if proof is None:
        click.echo(f"stopped; {way_on(plan)}")


def lines(now: Standing) -> list[str]:
    """What was done, for people."""
    plan, totals = now.plan, now.totals
    done = f"{now.done:,} of {plan.offsets:,} {plan.unit}"
    said = [
        f"replay {plan.id}: {done}, {totals.records:,} records"
        + (f", {totals.left_out:,} more were not meant" if totals.left_out else "")
    ]
    for role, target in plan.outputs.items():
        number = {
            "enriched": totals.enriched,
            "identify": totals.identify,
            "dead_letter": totals.refused,
        }[role.value]
        said.append(f"  {number:>12,}  {role.value.replace('_', ' ')} to {target.topic}")
    for reason, number in sorted(totals.dead_letters.items(), key=lambda item: -item[1]):
        said.append(f"  {number:>12,}    {reason}")
    for reason, number in totals.dropped.items():
        said.append(f"  {number:>12,}  dropped: {reason}")
    return said


def _verdict(proof: Proof) -> list[str]:
    if proof.ok:
        return ["verified: the topics hold each of these once, and nothing else of this replay"]
    return [f"does not add up: {problem}" for problem in proof.problems]
