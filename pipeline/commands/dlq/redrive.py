"""`track-pipeline dlq redrive`: sends letters through the rules again, never twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.money import Purse, plain_amount
from pipeline.commands.console import output_console
from pipeline.commands.dlq.closing import say_what_was_left_out
from pipeline.commands.dlq.executing import execute
from pipeline.commands.dlq.live_rules import check_live_rules
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.commands.dlq.repair_options import with_repair
from pipeline.commands.dlq.sending import Place, new_id, place, whoami
from pipeline.core.origin import ORIGIN
from pipeline.core.readable import escaped
from pipeline.core.record import Headers, Output, Role
from pipeline.deadletters.again import as_raw
from pipeline.deadletters.candidates import (
    Candidate,
    Chooser,
    Plan,
    Rules,
    as_raw_output,
    fails_again,
)
from pipeline.deadletters.ledger import Action, Entry, Ledger
from pipeline.deadletters.redrive import Deed
from pipeline.deadletters.repair import Repair
from pipeline.deadletters.whatif import CRASH, Examiner
from pipeline.exits import Exit
from pipeline.settings import SettingsError
from pipeline.wiring import WallClock, make_again, make_processor

ENRICHED, RAW = "enriched", "raw"
REDRIVE: Final = "track.redrive"
_LETTER: Final = "track.redrive.letter"
_SHOWN: Final = 20


@dataclass(frozen=True)
class Job:
    """One redrive."""

    asked: Asked
    repair: Repair
    rules: Rules
    where: Place
    to: str
    reinsert: bool
    id: str
    now: int

    def candidates(self, ledger: Ledger) -> Iterator[Candidate]:
        """Every letter that is meant, with the decision."""
        examiner = Examiner(make_again(self.asked.settings), self.repair)
        try:
            yield from Chooser(examiner, self.rules, ledger).choose(self.asked.letters(), self.now)
        finally:
            examiner.end()

    def deeds(self, ledger: Ledger) -> Iterator[Deed]:
        """What is to be written, letter by letter."""
        for candidate in self.candidates(ledger):
            if not candidate.why_not:
                yield Deed(self._outputs(candidate), self._entry(candidate, Action.REDRIVEN))
            elif self.reinsert and fails_again(candidate):
                entry = self._entry(candidate, Action.REINSERTED)
                yield Deed(self._linked(candidate), entry)

    def _outputs(self, candidate: Candidate) -> list[Output]:
        if self.to == RAW:
            return [as_raw_output(candidate, self._kept(as_raw(candidate.letter).headers))]
        return self._linked(candidate)

    def _linked(self, candidate: Candidate) -> list[Output]:
        """What the rules give, with headers that lead back to the letter."""
        letter = f"{self.where.topic}/{candidate.letter.place}"
        links = [(REDRIVE, self.id.encode()), (_LETTER, letter.encode())]
        return [
            output._replace(headers=[*self._kept(output.headers), *links])
            for output in candidate.verdict.outputs
        ]

    def _kept(self, headers: Headers) -> Headers:
        """Less those that belong to the first sending."""
        dropped = self.asked.settings.dead_letter.redrive_drop_headers
        names = {name.lower() for name in dropped if not name.endswith("*")}
        starts = tuple(name[:-1].lower() for name in dropped if name.endswith("*"))
        return [
            header
            for header in headers
            if header[0].lower() not in names and not header[0].lower().startswith(starts)
        ]

    def _entry(self, candidate: Candidate, action: Action) -> Entry:
        letter = candidate.letter
        sent = action is Action.REDRIVEN
        return Entry(
            self.where.topic_id,
            letter.partition,
            letter.offset,
            action,
            candidate.source,
            letter.source_timestamp,
            whoami(),
            self.now,
            self.id,
            self.rules.target if sent else self.where.topic,
            self.repair.name if sent else "",
        )


@click.command()
@desk_command
@with_repair
@click.option(
    "--to",
    type=click.Choice([ENRICHED, RAW]),
    default=ENRICHED,
    show_default=True,
    help="enriched: processed here, with the original coordinates and times. raw: through the "
    "worker once more, which must accept origin headers.",
)
@click.option("--rate", type=click.FloatRange(0.1), help="Most letters a second.")
@click.option(
    "--max",
    "most",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Refuse to send more letters than this.",
)
@click.option("--max-attempts", type=click.IntRange(1), help="Leave out what failed so often.")
@click.option(
    "--reinsert-failing",
    is_flag=True,
    help="Write letters that fail again as new ones, with one attempt more.",
)
@click.option("--force", is_flag=True, help="Also with other rules than the live worker's.")
@click.option("--execute", "act", is_flag=True, help="Do it; else the plan is shown only.")
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
    force: bool,
    act: bool,
) -> None:
    """Send letters that pass now to the enriched topic; shows the plan unless --execute is given.

    Each event is sent once, also when it is killed, started again, or started twice: what was done
    is noted in the ledger, in the same transaction. Letters that fail are counted and stay.

    Exit code 0 when everything that is meant was or would be sent, 1 when letters are left.
    """
    note = check_live_rules(asked, force=force, raw=to == RAW)
    job = _job(asked, repair, to, max_attempts, reinsert=reinsert_failing)
    plan = _plan(job)
    _show(job, plan, rate, note)
    left = sum(plan.not_sent.values())
    if plan.send > most:
        text = f"{plan.send:,} letters would be sent, more than {most:,}: say --max {plan.send}"
        raise SettingsError([f"--max: {text}"])
    if act and (plan.send or (reinsert_failing and plan.failing)):
        left += execute(job.where, job.deeds, job.id, rate=rate, as_json=asked.as_json)
    elif plan.send:
        click.echo("nothing was written: --execute does it", err=True)
    say_what_was_left_out(asked, plan.send + left)
    ctx.exit(Exit.DIFFERENCE if left else Exit.OK)


def _job(asked: Asked, repair: Repair, to: str, max_attempts: int | None, *, reinsert: bool) -> Job:
    settings, captured = asked.settings, asked.desk.captured
    suffix = captured.topic.partition(".replay.")[2]
    enriched, identify = settings.topics.enriched, settings.topics.identify
    if suffix:  # the letters of a replay go to that replay's output
        enriched, identify = f"{enriched}.replay.{suffix}", f"{identify}.replay.{suffix}"
    target = enriched if to == ENRICHED else settings.topics.raw
    if captured.topic in {target, identify}:
        raise SettingsError([f"--topic: {captured.topic} is where letters would be sent to"])
    outputs = {Role.ENRICHED: target, Role.DEAD_LETTER: captured.topic}
    if settings.identify and to == ENRICHED:
        outputs[Role.IDENTIFY] = identify
    now = WallClock().now()
    return Job(
        asked,
        repair,
        Rules(target, suffix, max_attempts, CRASH in asked.selection.stages),
        place(settings, captured.topic, captured.topic_id, outputs),
        to,
        reinsert,
        new_id("redrive", now),
        now,
    )


def _plan(job: Job) -> Plan:
    plan, purse = Plan(), Purse(make_processor(job.asked.settings))
    for candidate in job.candidates(job.asked.desk.ledger):
        plan.add(candidate, purse)
    return plan


def _show(job: Job, plan: Plan, rate: float | None, note: str) -> None:
    if job.asked.as_json:
        click.echo(escaped(json.dumps(_plain(job, plan, note), ensure_ascii=False)))
        return
    console = output_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(job, plan, rate, note):
        table.add_row(Text(name, "bold"), Text(escaped(value)))
    console.print(table)
    if plan.not_sent:
        _show_not_sent(console, plan)


def _facts(job: Job, plan: Plan, rate: float | None, note: str) -> Iterator[tuple[str, str]]:
    yield "letters to send", f"{plan.send:,}"
    yield "to", f"{job.rules.target}{' (raw)' if job.to == RAW else ''}"
    written = ", ".join(f"{number:,} {role}" for role, number in sorted(plan.outputs.items()))
    if written and job.to == ENRICHED:
        yield "records", written
    for money in _money(plan):
        yield "revenue", money
    if job.repair.name:
        yield "repair", job.repair.name
    if rate is not None:
        yield "takes about", f"{plan.send / rate:,.0f} s at {rate:g} letters/s"
    for sample in plan.samples:
        letter = sample.letter
        yield "for example", f"{letter.place} {letter.reason} {letter.event} {sample.source}"
    if job.to == RAW:
        yield (
            "note",
            (
                "a later replay of the raw topic meets these events twice; it pairs them by their "
                f"{ORIGIN} headers"
            ),
        )
    if note:
        yield "note", note


def _money(plan: Plan) -> Iterator[str]:
    by_currency: dict[str, Any] = {}
    for where, amount in plan.money.amounts.items():
        by_currency[where.currency] = by_currency.get(where.currency, 0) + amount
    for currency, amount in sorted(by_currency.items()):
        yield f"{plain_amount(amount)} {currency}"


def _show_not_sent(console: Console, plan: Plan) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("not sent", justify="right")
    table.add_column("why")
    for why, number in plan.not_sent.most_common(_SHOWN):
        table.add_row(f"{number:,}", Text(escaped(why)))
    console.print(table)


def _plain(job: Job, plan: Plan, note: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "to": job.rules.target,
        "send": plan.send,
        "records": {role.value: number for role, number in plan.outputs.items()},
        "not_sent": dict(plan.not_sent),
        "revenue": list(_money(plan)),
        "repair": job.repair.name,
        "note": note or None,
    }
