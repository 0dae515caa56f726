"""An audit's result as people read it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from pipeline.core.escape import escaped
from pipeline.reconcile.audit.result import EXCLUDED, AuditResult, DiscrepancyKind
from pipeline.reconcile.revenue import BalanceRow, RevenueBalance, exact_amount

_ROWS: Final = 60
"""Days and currencies that are shown; of more, only those that do not add up."""
_WIDTH: Final = 160


def print_result(result: AuditResult) -> None:
    """Tables, and one sentence at the end."""
    console = Console(
        markup=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=True
    )
    console.print(_counts(result))
    _print_offences(console, result)
    for word, number in sorted(result.excluded.items()):
        console.print(f"not judged in full: {number} {EXCLUDED[word]}")
    for note in result.notes:
        console.print(f"note: {escaped(note)}")
    if result.revenue is not None:
        _print_money(console, result.revenue)
    console.print(closing_sentence(result))


def _counts(result: AuditResult) -> Table:
    table = Table("", "count", "meaning", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    rows = [
        ("raw records", result.records, "processed again"),
        ("events", result.events, "in them, each with one outcome:"),
        ("  enriched", result.enriched, ""),
        ("  dead letters", result.dead_letters, ""),
    ]
    if result.dropped:
        rows.append(("  dropped", result.dropped, "by the setting on_other_type"))
    if result.identify:
        rows.append(("identify messages", result.identify, "beside them"))
    rows += [(kind.replace("_", " "), result.count(kind), kind.meaning) for kind in DiscrepancyKind]
    for name, number, meaning in rows:
        table.add_row(name, str(number), meaning)
    return table


def _print_offences(console: Console, result: AuditResult) -> None:
    if not result.discrepancies:
        return
    table = Table("what", "raw event", "output", "detail", box=None, pad_edge=False)
    for discrepancy in result.discrepancies:
        table.add_row(discrepancy.kind.replace("_", " "), *map(escaped, discrepancy[1:]))
    console.print()
    console.print(table)
    hidden = result.discrepancy_count - len(result.discrepancies)
    if hidden:
        console.print(f"… and {hidden} more; --show names more of them")
    console.print()


def _print_money(console: Console, money: RevenueBalance) -> None:
    rows = list(money.rows())
    shown = rows if len(rows) <= _ROWS else [row for row in rows if row.difference]
    names = ["sent", "delivered", "held back", "difference"]
    if any(row.redriven or row.replaced for row in rows):
        names[3:3] = ["redriven", "repaired"]
    table = Table("day (UTC)", "currency", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    for row in shown:
        _add(table, row.place.day or "no day", row, names)
    table.add_row()
    for row in money.totals():
        _add(table, "all days", row, names)
    console.print()
    console.print(table)
    if len(shown) < len(rows):
        console.print(f"{len(rows) - len(shown)} days without a difference are not shown")
    replaced = money.replaced.unreadable
    redriven = f"{replaced} in dead letters that were redriven, " if replaced else ""
    console.print(
        f"could not be read: {money.sent.unreadable} sent, {money.delivered.unreadable} delivered, "
        f"{redriven}{money.blocked.unreadable} held back; difference {money.unreadable_difference}"
    )
    if money.excluded:
        console.print(
            f"in no sum: {money.excluded} events that other rules have read differently, or that were "
            "redriven and whose dead letters are deleted"
        )
    console.print()


def _add(table: Table, day: str, row: BalanceRow, names: Sequence[str]) -> None:
    amounts = {
        "sent": row.sent,
        "delivered": row.delivered,
        "held back": row.blocked,
        "redriven": row.redriven,
        "repaired": row.repaired,
        "difference": row.difference,
    }
    table.add_row(day, row.place.currency, *(exact_amount(amounts[name]) for name in names))


def closing_sentence(result: AuditResult) -> str:
    """What the audit comes to."""
    if result.ok:
        return (
            f"It adds up: each of {result.events} events has exactly its outcome{_money(result)}."
        )
    found = [
        f"{result.count(kind)} {kind.replace('_', ' ')}"
        for kind in DiscrepancyKind
        if result.count(kind)
    ]
    if result.revenue is not None and not result.revenue.ok:
        found.append("money that is not accounted for")
    return f"It does not add up: {', '.join(found)} (of {result.events} events)."


def _money(result: AuditResult) -> str:
    if result.revenue is None:
        return ""
    unread = result.revenue.sent.unreadable
    excluded = f" (unreadable amounts: {unread})" if unread else ""
    return f", and all money is accounted for{excluded}"
