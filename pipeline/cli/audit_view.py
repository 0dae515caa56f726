"""The result of an audit as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.cli.formats import Money
from pipeline.cli.output import print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.reconcile.audit import EXCLUDED, AuditResult, DiscrepancyKind
from pipeline.reconcile.revenue import BalanceRow, RevenueBalance

_ROWS: Final = 60
"""Days and currencies that are shown; of more, only those whose revenue does not balance."""
_COUNTS: Final = (
    Column("outcome", CellKind.ID),
    Column("count", CellKind.NUMBER),
    Column("meaning", priority=1, least=24),
)
_DISCREPANCIES: Final = (
    Column("discrepancy", CellKind.ID),
    Column("raw event", CellKind.ID),
    Column("output", CellKind.ID, priority=1),
    Column("detail", priority=2),
)
_BALANCE: Final = (
    Column("day (UTC)", CellKind.ID),
    Column("currency", CellKind.ID),
    Column("sent", CellKind.MONEY, priority=1),
    Column("delivered", CellKind.MONEY, priority=2),
    Column("blocked", CellKind.MONEY, priority=3),
    Column("redriven", CellKind.MONEY, priority=4),
    Column("repaired", CellKind.MONEY, priority=5),
    Column("difference", CellKind.MONEY),
)
_ONLY_REDRIVEN: Final = frozenset({"redriven", "repaired"})


def print_result(result: AuditResult) -> None:
    """Print tables, then the limits of the audit, and its conclusion as the last sentence."""
    print_table(_COUNTS, _counts(result))
    _print_discrepancies(result)
    for word, number in sorted(result.excluded.items()):
        print_line(f"not fully checked: {number:,} {EXCLUDED[word]}")
    for note in result.notes:
        print_line(f"note: {note}")
    if result.revenue is not None:
        _print_revenue(result.revenue)
    print_line(closing_sentence(result))


def _counts(result: AuditResult) -> Iterator[Sequence[Cell]]:
    yield "raw records", result.records, "processed again"
    yield "events", result.events, "in these records, each with exactly one outcome"
    yield "enriched", result.enriched, "events that must be in the enriched topic"
    yield "dead letters", result.dead_letters, "events that must be in the dead-letter topic"
    if result.dropped:
        yield "dropped", result.dropped, "events that the setting on_other_type drops"
    if result.forwarded:
        yield "forwarded", result.forwarded, "events that must be in the topic for other calls"
    if result.identify:
        yield "identify messages", result.identify, "that must exist in addition"
    for kind in DiscrepancyKind:
        yield _words(kind), result.count(kind), kind.meaning


def _words(kind: DiscrepancyKind) -> str:
    return kind.value.replace("_", " ")


def _print_discrepancies(result: AuditResult) -> None:
    if not result.discrepancies:
        return
    print_line()
    print_table(
        _DISCREPANCIES,
        [
            (_words(each.kind), each.source, each.output, each.detail)
            for each in result.discrepancies
        ],
    )
    hidden = result.discrepancy_count - len(result.discrepancies)
    if hidden:
        print_line(f"… and {hidden:,} more; --show names more of them")
    print_line()


def _print_revenue(balance: RevenueBalance) -> None:
    rows = list(balance.rows())
    shown = rows if len(rows) <= _ROWS else [row for row in rows if row.difference]
    has_redriven = any(row.redriven or row.replaced for row in rows)
    columns = [each for each in _BALANCE if has_redriven or each.name not in _ONLY_REDRIVEN]
    names = [column.name for column in columns]
    print_line()
    print_table(
        columns,
        [
            *(_cells(row.place.day or "no day", row, names) for row in shown),
            *(_cells("all days", row, names) for row in balance.totals()),
        ],
    )
    if len(shown) < len(rows):
        print_line(f"{len(rows) - len(shown):,} days without a difference are not shown")
    replaced = balance.replaced.unreadable
    redriven = f"{replaced:,} in redriven dead letters, " if replaced else ""
    print_line(
        f"unreadable amounts: {balance.sent.unreadable:,} sent, "
        f"{balance.delivered.unreadable:,} delivered, {redriven}"
        f"{balance.blocked.unreadable:,} blocked; difference {balance.unreadable_difference:,}"
    )
    if balance.excluded:
        print_line(
            f"in no sum: {balance.excluded:,} events that other rules read differently, or that "
            "were redriven and whose dead letters are deleted"
        )
    print_line()


def _cells(day: str, row: BalanceRow, names: Sequence[str]) -> Sequence[Cell]:
    currency = row.place.currency
    cells: dict[str, Cell] = {
        "day (UTC)": day,
        "currency": currency,
        "sent": Money(row.sent, currency),
        "delivered": Money(row.delivered, currency),
        "blocked": Money(row.blocked, currency),
        "redriven": Money(row.redriven, currency),
        "repaired": Money(row.repaired, currency),
        "difference": Money(row.difference, currency),
    }
    return [cells[name] for name in names]


def closing_sentence(result: AuditResult) -> str:
    """Say in one sentence whether everything adds up."""
    if result.ok:
        balanced = "" if result.revenue is None else _balanced(result.revenue)
        return f"It adds up: each of {result.events:,} events has exactly its outcome{balanced}."
    found = [
        f"{result.count(kind):,} {_words(kind)}" for kind in DiscrepancyKind if result.count(kind)
    ]
    if result.revenue is not None and not result.revenue.ok:
        found.append("revenue that does not balance")
    return f"It does not add up: {', '.join(found)} (of {result.events:,} events)."


def _balanced(balance: RevenueBalance) -> str:
    unreadable = balance.sent.unreadable
    except_for = f" (unreadable amounts: {unreadable:,})" if unreadable else ""
    return f", and the revenue balances{except_for}"
