"""A redrive's plan for people and machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.output import output_console
from pipeline.core.escape import escaped, one_line
from pipeline.core.headers import TrackHeader
from pipeline.core.masking import mask
from pipeline.core.record import Role
from pipeline.dlq.candidates import Plan
from pipeline.dlq.redrive_plan import ENRICHED, RAW, Job
from pipeline.reconcile.revenue import DayCurrency, Sums, exact_amount

_SHOWN: Final = 20
_MINUTES_FROM_S: Final = 120
_REPLAYS: Final = (
    "a later replay of the raw topic meets these events twice; it pairs them by their "
    f"{TrackHeader.ORIGIN} headers"
)


class View(NamedTuple):
    """A plan, and what else is shown of it."""

    job: Job
    plan: Plan
    rate: float | None
    """Most letters a second."""
    note: str
    """What is not known of the live worker, or differs; empty for nothing."""
    reveal: bool

    @property
    def seconds(self) -> float:
        """To try the letters again takes as long as for the plan, or as the rate lets it."""
        if self.rate is None:
            return self.plan.took_s
        return max(self.plan.took_s, self.job.planned(self.plan) / self.rate)

    @property
    def said(self) -> list[str]:
        """What is wrong with some letters that could not even be tried."""
        return self.plan.said if self.reveal else [mask(text) for text in self.plan.said]

    def targets(self) -> list[str]:
        """The topics that something is written to; that of the events in any case."""
        written = self.plan.outputs if self.job.to == ENRICHED else {}
        outputs = self.job.where.outputs.items()
        return [name for role, name in outputs if role is Role.ENRICHED or written.get(role)]

    def money(self) -> Iterator[str]:
        """By currency; exact."""
        sums = Sums()
        for where, amount in self.plan.money.amounts.items():
            sums.count(DayCurrency("", where.currency), amount)
        for where, amount in sorted(sums.amounts.items()):
            yield f"{exact_amount(amount)} {where.currency}"


def show_plan(view: View, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
        click.echo(escaped(json.dumps(_plain(view), ensure_ascii=False)))
        return
    console = output_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(view):
        table.add_row(Text(name, "bold"), Text(one_line(value)))
    console.print(table)
    if view.plan.not_sent.total():
        _show_not_sent(console, view.plan)
    for text in view.said:
        console.print(Text(one_line(text)))


def _facts(view: View) -> Iterator[tuple[str, str]]:
    job, plan = view.job, view.plan
    yield "letters to send", f"{plan.send:,}"
    yield "to", f"{', '.join(view.targets())}{'' if job.to == ENRICHED else f' ({job.to})'}"
    written = ", ".join(f"{number:,} {role}" for role, number in sorted(plan.outputs.items()))
    if written and job.to == ENRICHED:
        yield "records", written
    for money in view.money():
        yield "revenue", money
    if job.repair.name:
        yield "repair", job.repair.name
    if job.reinsert and plan.failing:
        yield "to reinsert", f"{plan.failing:,} that fail again, to {job.where.topic}"
    if job.planned(plan):
        yield "takes about", _time(view)
    for sample in plan.samples:
        letter = sample.letter
        yield "for example", f"{letter.place} {letter.reason} {letter.event} {sample.source}"
    if job.to == RAW:
        yield "note", _REPLAYS
    if view.note:
        yield "note", view.note


def _time(view: View) -> str:
    seconds = view.seconds
    text = f"{seconds:,.0f} s" if seconds < _MINUTES_FROM_S else f"{seconds / 60:,.0f} min"
    return f"{text}, and the writing" if view.rate is None else f"{text} at {view.rate:g} letters/s"


def _show_not_sent(console: Console, plan: Plan) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("not sent", justify="right")
    table.add_column("why")
    for why, number in plan.not_sent.most_common(_SHOWN):
        table.add_row(f"{number:,}", Text(escaped(why)))
    console.print(table)


def _plain(view: View) -> dict[str, Any]:
    job, plan = view.job, view.plan
    return {
        "id": job.id,
        "to": job.rules.target,
        "send": plan.send,
        "reinsert": plan.failing if job.reinsert else 0,
        "records": {role.value: number for role, number in plan.outputs.items()},
        "not_sent": plan.not_sent.plain(),
        "revenue": list(view.money()),
        "repair": job.repair.name,
        "rate": view.rate,
        "seconds": round(view.seconds, 1),
        "note": view.note or None,
        "said": view.said,
    }
