"""A redrive's plan for people and machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.money import plain_amount
from pipeline.commands.console import output_console
from pipeline.commands.dlq.job import ENRICHED, RAW, Job
from pipeline.core.origin import ORIGIN
from pipeline.core.readable import escaped
from pipeline.deadletters.candidates import Plan

_SHOWN: Final = 20


def show_plan(job: Job, plan: Plan, rate: float | None, note: str, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
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
    by_currency: dict[str, Decimal] = {}
    for where, amount in plan.money.amounts.items():
        by_currency[where.currency] = by_currency.get(where.currency, Decimal()) + amount
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
