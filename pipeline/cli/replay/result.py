"""The end of a replay as people and programs read it, and as an exit code."""

from __future__ import annotations

from typing import Any, Final

import click

from pipeline.cli.main import Failure
from pipeline.cli.output import print_json, print_line
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.replay.finish import Interrupted, ReplayResult, resume_hint
from pipeline.replay.plan import ReplayPlan
from pipeline.replay.status import ReplayStatus
from pipeline.replay.verification import Verification

_WORDS: Final = {
    Role.ENRICHED: "enriched",
    Role.IDENTIFY: "identify",
    Role.DEAD_LETTER: "dead letters",
    Role.OTHER: "forwarded calls",
}


def end_with(outcome: ReplayResult | Interrupted, plan: ReplayPlan, *, as_json: bool) -> None:
    """Print how a replay has ended, and end the program accordingly.

    The exit code is 0 when everything adds up, 1 when not, 5 when it has ended before its end, 6
    when too much was invalid, 130 after a signal, and that of the worker that has failed.
    """
    if isinstance(outcome, Interrupted):
        _end_interrupted(outcome, plan, as_json=as_json)
        return
    _print(outcome.status, outcome.verification, as_json=as_json)
    if not outcome.verification.ok:
        raise click.exceptions.Exit(ExitCode.DIFFERENCE)
    if outcome.has_too_many_invalid:
        raise Failure(_too_many_invalid(outcome.status), ExitCode.BREAKER)


def _end_interrupted(outcome: Interrupted, plan: ReplayPlan, *, as_json: bool) -> None:
    if outcome.failure is not None:
        text = f"{outcome.failure.sentence}. {resume_hint(plan)}"
        code = next(each for each in ExitCode if each == outcome.failure.code)
        raise Failure(text, code)
    if outcome.status is not None:
        _print(outcome.status, None, as_json=as_json)
    if outcome.ended_early:  # not stopped by anybody, so the hint stands with the failure
        text = f"replay {plan.id} ended before its end. {resume_hint(plan)}"
        raise Failure(text, ExitCode.KAFKA)
    if not as_json:
        print_line(f"stopped. {resume_hint(plan)}")
    raise click.exceptions.Exit(ExitCode.INTERRUPTED)


def _too_many_invalid(status: ReplayStatus) -> str:
    rejected, events = status.totals.rejected, status.totals.events
    return (
        f"{rejected:,} of {events:,} events were rejected ({rejected / events:.1%}), more than "
        f"--max-invalid-ratio {status.plan.max_invalid_ratio:g} tolerates: nobody should use these "
        "outputs before that is understood"
    )


def _print(status: ReplayStatus, verification: Verification | None, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(status, verification))
        return
    for line in status_lines(status):
        print_line(line)
    if verification is None:
        return
    if verification.ok:
        print_line("verified: the topics hold each of these once, and nothing else of this replay")
    else:
        for problem in verification.problems:
            print_line(f"does not add up: {problem}")


def _document(status: ReplayStatus, verification: Verification | None) -> dict[str, Any]:
    plan = status.plan
    return {
        "id": plan.id,
        "outputs": {role.value: target.topic for role, target in plan.outputs.items()},
        **status.to_dict(),
        "verification": None if verification is None else verification.to_dict(),
    }


def status_lines(status: ReplayStatus) -> list[str]:
    """What was done, for people."""
    plan, totals = status.plan, status.totals
    lines = [
        f"replay {plan.id}: {status.done:,} of {plan.offsets:,} {plan.unit}, "
        f"{totals.records:,} records"
        + (f", {totals.left_out:,} more were not selected" if totals.left_out else "")
    ]
    for role, target in plan.outputs.items():
        number = {
            Role.ENRICHED: totals.enriched,
            Role.IDENTIFY: totals.identify,
            Role.DEAD_LETTER: totals.rejected,
            Role.OTHER: totals.forwarded,
        }[role]
        lines.append(f"  {number:>12,}  {_WORDS[role]} to {target.topic}")
    for reason, number in totals.dead_letters.most_common():
        lines.append(f"  {number:>12,}    {reason}")
    for reason, number in totals.dropped.items():
        lines.append(f"  {number:>12,}  dropped: {reason}")
    return lines
