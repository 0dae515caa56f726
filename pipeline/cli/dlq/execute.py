"""Executes a plan with progress, stops on signals, and reports what was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import click

from pipeline.cli.formats import counted
from pipeline.cli.output import error_console, print_json, print_line, print_notice
from pipeline.cli.progress import shown_progress
from pipeline.dlq.execution import MOST
from pipeline.dlq.redrive import WriteResult
from pipeline.errors import ExitCode
from pipeline.ports import Stop
from pipeline.progress import OnProgress
from pipeline.worker.signals import stopping_on_signals

_Plan_contra = TypeVar("_Plan_contra", contravariant=True)
_Plan = TypeVar("_Plan")
_Function = Callable[..., object]

NOT_WRITTEN: Final = "nothing was written: --execute does it"
execute_option: Final = click.option(
    "--execute", is_flag=True, help="Do it; without this, only the plan is shown."
)


def most_option(verb: str) -> Callable[[_Function], _Function]:
    """Limit the number of dead letters that a command sends or marks."""
    return click.option(
        "--max",
        "most",
        type=click.IntRange(1),
        default=MOST,
        show_default=True,
        help=f"Fail, before any is written, if there are more dead letters to {verb} than this.",
    )


class Job(Protocol[_Plan_contra]):
    """A redrive, discard or restore."""

    @property
    def id(self) -> str:
        """Id of the run."""

    def execute(
        self,
        plan: _Plan_contra,
        *,
        stop: Stop | None = None,
        result: WriteResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> WriteResult:
        """Write what was planned."""


def execute_job(job: Job[_Plan], plan: _Plan, *, as_json: bool) -> int:
    """Execute a plan; returns the number of dead letters that the broker refused.

    Whatever ends the run, what was committed until then stays and is reported. After a signal the
    program ends with exit code 130.
    """
    result = WriteResult()
    try:
        with stopping_on_signals() as stop, shown_progress() as on_progress:
            shown = on_progress if error_console().is_terminal else None
            job.execute(plan, stop=stop, result=result, on_progress=shown)
    finally:  # when the bar is gone, which would take the last line with it
        _report(result, job.id, as_json=as_json)
    if result.stopped:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)
    return result.refused.total()


def _report(result: WriteResult, id_: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "id": id_,
                "done": result.sent,
                "already_done": result.already,
                "refused": dict(result.refused),
                "stopped": result.stopped,
            }
        )
        return
    text = f"{id_}: {counted(result.sent, 'dead letter')} done"
    if result.already:
        text += f", {result.already:,} had been done by others"
    if result.stopped:
        text += "; stopped, the same command continues"
    print_line(text)
    for why, number in result.refused.items():
        verb = "was" if number == 1 else "were"
        print_notice(f"{counted(number, 'dead letter')} {verb} refused: {why}", "red")
