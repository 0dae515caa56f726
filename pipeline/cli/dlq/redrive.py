"""`track-pipeline dlq redrive`: sends letters through the rules again, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.execute import execute
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.dlq.plan_view import View, show_plan
from pipeline.cli.dlq.repair_options import with_repair
from pipeline.cli.options import RATE
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.live_contract import check_live_rules
from pipeline.dlq.redrive_plan import ENRICHED, RAW, SOURCE, Job, job_of, plan_of
from pipeline.dlq.repair import Repair
from pipeline.errors import ExitCode, SettingsError
from pipeline.progress import OnProgress

_Function = Callable[..., Any]

rate_option = click.option("--rate", type=RATE, help="Most letters a second.")


def most_option(verb: str) -> Callable[[_Function], _Function]:
    """The option that bounds how many letters a command sends, or marks."""
    return click.option(
        "--max",
        "most",
        type=click.IntRange(1),
        default=10_000,
        show_default=True,
        help=f"Refuse to {verb} more letters than this.",
    )


def refuse_more_than(most: int, planned: int, done: str) -> None:
    """SettingsError when a plan has more letters; `done` says what would be done with them."""
    if planned > most:
        text = f"{planned:,} letters would be {done}, more than {most:,}: say --max {planned}"
        raise SettingsError([f"--max: {text}"])


force_option = click.option(
    "--force", is_flag=True, help="Also with other rules than the live worker's."
)
replay_option = click.option(
    "--replay",
    metavar="ID",
    help="Letters of this replay, to its output; of a topic named after a replay it is that one.",
)
act_option = click.option(
    "--execute", "act", is_flag=True, help="Do it; else the plan is shown only."
)


@click.command()
@desk_command
@with_repair
@click.option(
    "--to",
    type=click.Choice([ENRICHED, RAW, SOURCE]),
    default=ENRICHED,
    show_default=True,
    help="enriched: processed here, with the original coordinates and times. raw: through the "
    "worker once more, which must accept origin headers. source: dead letters of other systems, as "
    "they were, back to the topic that they name.",
)
@rate_option
@most_option("send")
@click.option("--max-attempts", type=click.IntRange(1), help="Leave out what failed so often.")
@click.option(
    "--reinsert-failing",
    is_flag=True,
    help="Write letters that fail again as new ones, with one attempt more.",
)
@replay_option
@force_option
@act_option
@click.pass_context
def redrive(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    asked: Asked,
    repair: Repair,
    *,
    to: str,
    rate: float | None,
    most: int,
    max_attempts: int | None,
    reinsert_failing: bool,
    replay: str | None,
    force: bool,
    act: bool,
) -> None:
    """Send letters that pass now to the enriched topic; shows the plan unless --execute is given.

    Each event is sent once, also when it is killed, started again, or started twice: what was done
    is noted in the ledger, in the same transaction. Letters that fail are counted and stay.

    Exit code 0 when everything that is meant was or would be sent, 1 when letters are left.
    """
    # No rule and no worker of ours is concerned by what goes back to another topic.
    note = "" if to == SOURCE else check_live_rules(asked, force=force, raw=to == RAW)

    def letters(on_progress: OnProgress | None) -> Iterator[DeadLetter]:
        return asked.desk.letters(asked.selection, done_too=asked.done_too, on_progress=on_progress)

    job = job_of(
        asked,
        letters,
        repair,
        to=to,
        replay=replay,
        max_attempts=max_attempts,
        reinsert=reinsert_failing,
    )
    left = plan_and_act(asked, job, note, rate=rate, most=most, act=act)
    ctx.exit(ExitCode.DIFFERENCE if left else ExitCode.OK)


def plan_and_act(  # noqa: PLR0913  one for each option
    asked: Asked, job: Job, note: str, *, rate: float | None, most: int, act: bool
) -> int:
    """Show the plan, and do it when it is to be done; how many letters are left."""
    plan = plan_of(job, asked.desk.ledger)
    show_plan(View(job, plan, rate, note, reveal=asked.reveal), as_json=asked.as_json)
    left, planned = plan.not_sent.total(), job.planned(plan)
    refuse_more_than(most, planned, "sent")
    if act and planned:
        left += execute(
            job.where,
            job.deeds,
            job.id,
            planned=planned,
            written=job.written,
            rate=rate,
            as_json=asked.as_json,
        )
    elif planned:
        click.echo("nothing was written: --execute does it", err=True)
    say_what_was_left_out(asked, plan.send + left)
    return left
