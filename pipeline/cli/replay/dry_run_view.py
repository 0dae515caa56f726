"""What a dry run has found, for people and machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from pipeline.core.escape import escaped, one_line
from pipeline.core.reasons import Reason, WarningCode
from pipeline.reconcile.compare.classify import DIFFERENT, DifferenceKind
from pipeline.reconcile.compare.dry_run import DryRunCounts
from pipeline.reconcile.compare.report import EXCLUDED, ComparisonReport, DiffSample, RevenueChange
from pipeline.reconcile.revenue import exact_amount

_WIDTH: Final = 160
_ROWS: Final = 20
_NOTHING: Final = "nothing"


def plain(
    counts: DryRunCounts, report: ComparisonReport | None, contract: str, said: Iterable[str]
) -> dict[str, Any]:
    """All of it as JSON values."""
    return {
        "contract": contract,
        **counts.to_dict(),
        "said": list(said),
        "comparison": None if report is None else report.to_dict(),
    }


def print_result(
    counts: DryRunCounts, report: ComparisonReport | None, said: Iterable[str]
) -> None:
    """Tables, and one sentence at the end."""
    console = Console(
        markup=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=True
    )
    for sentence in said:
        console.print(f"note: {escaped(sentence)}")
    console.print(_counts(counts))
    _print_codes(console, "warning", counts.warnings, {code: code.meaning for code in WarningCode})
    if report is None:
        console.print(f"Nothing was written: {counts.records:,} raw records were read.")
        return
    _print_report(console, report)
    console.print(f"{differences_sentence(report)} Nothing was written.")


def _table(*columns: str, numbers: Iterable[int] = ()) -> Table:
    table = Table(*columns, box=None, pad_edge=False)
    for number in numbers:
        table.columns[number].justify = "right"
    return table


def _counts(counts: DryRunCounts) -> Table:
    table = _table("", "count", "meaning", numbers=[1])
    rows = [("raw records", counts.records, "in the window"), ("  enriched", counts.enriched, "")]
    if counts.identify:
        rows.append(("  identify", counts.identify, "messages beside the enriched events"))
    rows.append(("  dead letters", counts.rejected, ""))
    rows += [(f"    {c}", n, Reason(c).meaning) for c, n in counts.dead_letters.most_common()]
    if counts.dropped:
        rows.append(("  dropped", counts.dropped.total(), "by the setting on_other_type"))
    if counts.left_out:
        rows.append(("left out", counts.left_out, "records: by filters, or outside the window"))
    if counts.crashed:
        rows.append(("bugs", counts.crashed, "of this program stopped a record: please report"))
    for name, number, meaning in rows:
        table.add_row(name, f"{number:,}", meaning)
    return table


def _print_codes(
    console: Console, what: str, counts: Mapping[str, int], meanings: Mapping[str, str]
) -> None:
    if not counts:
        return
    table = _table(what, "events", "meaning", numbers=[1])
    for code, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(escaped(code), f"{number:,}", meanings.get(code, ""))
    console.print()
    console.print(table)


def _print_report(console: Console, report: ComparisonReport) -> None:
    console.print()
    table = _table(f"beside {' and '.join(report.topics)}", "events", "meaning", numbers=[1])
    for kind in DifferenceKind:
        table.add_row(kind.value, f"{report.kinds[kind]:,}", kind.meaning)
    console.print(table)
    _print_reasons(console, report)
    _print_fields(console, report)
    _print_samples(console, report.samples)
    _print_revenue(console, report.revenue)
    for word, number in sorted(report.excluded.items()):
        if number:
            console.print(f"note: {number:,} {EXCLUDED[word]}")
    for note in report.notes:
        console.print(f"note: {escaped(note)}")


def _print_reasons(console: Console, report: ComparisonReport) -> None:
    if not report.reasons:
        return
    table = _table("what", "reason", "events", numbers=[2])
    for (kind, reason), number in report.reasons.most_common(_ROWS):
        table.add_row(kind, one_line(reason), f"{number:,}")
    console.print()
    console.print(table)


def _print_fields(console: Console, report: ComparisonReport) -> None:
    if not report.fields:
        return
    table = _table("changed field", "events", numbers=[1])
    for name, number in report.fields.most_common(_ROWS):
        table.add_row(one_line(name) or "(the value)", f"{number:,}")
    console.print()
    console.print(table)
    hidden = len(report.fields) - _ROWS
    if hidden > 0 or report.more_fields:
        console.print(f"… and {max(hidden, 0):,} more fields; --json lists up to 1,000")


def _print_samples(console: Console, samples: Iterable[DiffSample]) -> None:
    samples = list(samples)
    if not samples:
        return
    console.print()
    console.print("examples")
    for sample in samples:
        words = [f"  {sample.kind.value} {sample.source}"]
        words += [f"({text})" for text in (sample.output, sample.reason) if text]
        words += [sample.detail] if sample.detail else []
        console.print(one_line(" ".join(words)))
        for change in sample.changes:
            sides = (_NOTHING if side is None else side for side in change[1:])
            console.print(one_line(f"    {change.field or 'value'}: {' → '.join(sides)}"))


def _print_revenue(console: Console, revenue: RevenueChange) -> None:
    rows = list(revenue.rows())
    unreadable = [revenue.unreadable(is_after=is_after) for is_after in (False, True)]
    if rows:
        table = _table("revenue", "currency", "before", "after", "difference", numbers=[2, 3, 4])
        for row in [*rows, *revenue.totals()]:
            amounts = [exact_amount(each) for each in (row.before, row.after, row.difference)]
            table.add_row(row.kind or "all", row.currency, *amounts)
            for column, amount in zip(table.columns[2:], amounts, strict=True):
                # No digit is ever cut off.
                column.min_width = max(column.min_width or 0, len(amount))
        console.print()
        console.print(table)
    if any(unreadable):
        console.print(f"could not be read: {unreadable[0]:,} before, {unreadable[1]:,} after")
    if rows or any(unreadable):
        console.print()


def differences_sentence(report: ComparisonReport) -> str:
    """What the comparison comes to."""
    redriven = report.kinds[DifferenceKind.REDRIVEN]
    apart = ""
    if redriven:
        events = "1 redriven event is" if redriven == 1 else f"{redriven:,} redriven events are"
        apart = f" {events} not what the raw topic gives, and no difference."
    if report.same:
        number = report.kinds[DifferenceKind.IDENTICAL]
        return f"Nothing differs: {number:,} events are as they are in the topics.{apart}"
    found = [f"{report.kinds[kind]:,} {kind}" for kind in DIFFERENT if report.kinds[kind]]
    return f"It differs: {', '.join(found)} (of {report.kinds.total():,} events).{apart}"
