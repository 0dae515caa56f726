"""What `discard` and `restore` have in common: options, plan and execution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click

from pipeline.cli.dlq.execute import NOT_WRITTEN, execute_job, execute_option, most_option
from pipeline.cli.dlq.notes import blocked_sentence, note_coverage, reading_progress
from pipeline.cli.dlq.options import Display
from pipeline.cli.output import print_json, print_line, print_notice, print_table
from pipeline.cli.tables import CellKind, Column
from pipeline.dlq.marking import MarkJob, MarkPlan

_Function = Callable[..., object]

EXECUTION_FLAGS: Final = ("--because", "--everything", "--execute", "--max")
_OPTIONS: Final = (
    click.option("--everything", is_flag=True, help="All dead letters, without any filter."),
    most_option("mark"),
    execute_option,
)


def with_marking(function: _Function) -> _Function:
    """Decorate a command: adds `everything`, `most` and `execute`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def plan_and_mark(job: MarkJob, verb: str, display: Display, *, execute: bool) -> None:
    """Show which dead letters would be marked, and mark them if requested."""
    with reading_progress() as on_progress:
        plan = job.plan(on_progress)
    _print_plan(job, plan, verb, display)
    job.refuse_too_many(plan)
    if execute and plan.count:
        execute_job(job, plan, as_json=display.as_json)
    elif plan.count:
        print_notice(NOT_WRITTEN)
    note_coverage(job.request, job.coverage, plan.count)


def _print_plan(job: MarkJob, plan: MarkPlan, verb: str, display: Display) -> None:
    if display.as_json:
        print_json(
            {
                "id": job.id,
                verb: plan.count,
                "reasons": plan.reasons.to_dict(),
                "revenue": plan.revenue.to_dict(),
            }
        )
    elif plan.count:
        columns = [Column(f"to {verb}", CellKind.NUMBER), Column("reason", CellKind.ID)]
        rows = [(number, reason) for reason, number in plan.reasons.most_common()]
        print_table(columns, rows, aligned=True)
        if blocked := blocked_sentence(plan.revenue):
            print_line(blocked)
