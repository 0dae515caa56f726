"""What a dry run has found, for people and machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pipeline.cli.formats import Money, counted
from pipeline.cli.output import print_json, print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.escape import one_line
from pipeline.core.reasons import Reason, WarningCode
from pipeline.reconcile.compare.classify import DIFFERENT, DifferenceKind
from pipeline.reconcile.compare.dry_run import DryRunCounts
from pipeline.reconcile.compare.report import EXCLUDED, ComparisonReport, DiffSample, RevenueChange
from pipeline.replay.dry_run import DryRunResult

_ROWS: Final = 20
_NOTHING: Final = "nothing"
_MEANING: Final = Column("meaning")
_EVENTS: Final = Column("events", CellKind.NUMBER)


def print_document(result: DryRunResult) -> None:
    """Print all of it as a JSON document."""
    report = result.report
    print_json(
        {
            "contract": result.contract,
            **result.counts.to_dict(),
            "notes": list(result.notes),
            "comparison": None if report is None else report.to_dict(),
        }
    )


def print_result(result: DryRunResult) -> None:
    """Print tables, and one sentence at the end."""
    counts, report = result.counts, result.report
    for sentence in result.notes:
        print_line(f"note: {sentence}")
    _print_counts(counts)
    _print_codes("warning", counts.warnings, {code: code.meaning for code in WarningCode})
    if report is None:
        print_line(f"Nothing was written: {counts.records:,} raw records were read.")
        return
    _print_report(report)
    print_line(f"{differences_sentence(report)} Nothing was written.")


def _print_counts(counts: DryRunCounts) -> None:
    rows: list[tuple[Cell, ...]] = [
        ("raw records", counts.records, "in the window"),
        ("  enriched", counts.enriched, ""),
    ]
    if counts.identify:
        rows.append(("  identify", counts.identify, "messages beside the enriched events"))
    rows.append(("  dead letters", counts.rejected, ""))
    rows += [(f"    {c}", n, Reason(c).meaning) for c, n in counts.dead_letters.most_common()]
    if counts.dropped:
        rows.append(("  dropped", counts.dropped.total(), "by the setting on_other_type"))
    if counts.forwarded:
        rows.append(("  forwarded", counts.forwarded, "calls of another type, as they are"))
    if counts.left_out:
        rows.append(("left out", counts.left_out, "records: by filters, or outside the window"))
    if counts.crashed:
        rows.append(("bugs", counts.crashed, "of this program stopped a record: please report"))
    outcome = Column("outcome", CellKind.ID)
    print_table((outcome, Column("count", CellKind.NUMBER), _MEANING), rows)


def _print_codes(what: str, counts: Mapping[str, int], meanings: Mapping[str, str]) -> None:
    if not counts:
        return
    print_line()
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    print_table(
        (Column(what, CellKind.ID), _EVENTS, _MEANING),
        [(code, number, meanings.get(code, "")) for code, number in rows],
    )


def _print_report(report: ComparisonReport) -> None:
    print_line()
    print_line(f"compared with {' and '.join(report.topics)}")
    rows = [(kind.value, report.kinds[kind], kind.meaning) for kind in DifferenceKind]
    print_table((Column("difference", CellKind.ID), _EVENTS, _MEANING), rows)
    _print_reasons(report)
    _print_fields(report)
    _print_samples(report.samples)
    _print_revenue(report.revenue)
    for word, number in sorted(report.excluded.items()):
        if number:
            print_line(f"note: {number:,} {EXCLUDED[word]}")
    for note in report.notes:
        print_line(f"note: {note}")


def _print_reasons(report: ComparisonReport) -> None:
    if not report.reasons:
        return
    print_line()
    rows = report.reasons.most_common()
    print_table(
        (Column("what", CellKind.ID), Column("reason", CellKind.ID), _EVENTS),
        [(kind, reason, number) for (kind, reason), number in rows[:_ROWS]],
    )
    if len(rows) > _ROWS:
        print_line(f"… and {len(rows) - _ROWS:,} more reasons; --json lists them")


def _print_fields(report: ComparisonReport) -> None:
    if not report.fields:
        return
    print_line()
    print_table(
        (Column("changed field", CellKind.ID), _EVENTS),
        [(name or "(the value)", number) for name, number in report.fields.most_common(_ROWS)],
    )
    hidden = len(report.fields) - _ROWS
    if hidden > 0 or report.more_fields:
        print_line(f"… and {max(hidden, 0):,} more fields; --json lists up to 1,000")


def _print_samples(samples: Iterable[DiffSample]) -> None:
    samples = list(samples)
    if not samples:
        return
    print_line()
    print_line("examples")
    for sample in samples:
        words = [f"  {sample.kind.value} {sample.source}"]
        words += [f"({text})" for text in (sample.output, sample.reason) if text]
        words += [sample.detail] if sample.detail else []
        print_line(one_line(" ".join(words)))
        for change in sample.changes:
            sides = (_NOTHING if side is None else side for side in change[1:])
            print_line(one_line(f"    {change.field or 'value'}: {' → '.join(sides)}"))


def _print_revenue(revenue: RevenueChange) -> None:
    rows = [*revenue.rows(), *revenue.totals()]
    unreadable = [revenue.unreadable(is_after=is_after) for is_after in (False, True)]
    if rows:
        amounts = (Column(name, CellKind.MONEY) for name in ("before", "after", "difference"))
        print_line()
        print_table(
            (Column("revenue", CellKind.ID), Column("currency", CellKind.ID), *amounts),
            [
                (
                    row.kind or "all",
                    row.currency,
                    *(
                        Money(each, row.currency)
                        for each in (row.before, row.after, row.difference)
                    ),
                )
                for row in rows
            ],
        )
    if any(unreadable):
        print_line(f"could not be read: {unreadable[0]:,} before, {unreadable[1]:,} after")
    if rows or any(unreadable):
        print_line()


def differences_sentence(report: ComparisonReport) -> str:
    """Say what the comparison comes to."""
    redriven = report.kinds[DifferenceKind.REDRIVEN]
    excluded = ""
    if redriven:
        verb = "differs" if redriven == 1 else "differ"
        excluded = (
            f" {counted(redriven, 'redriven event')} {verb} from what the raw topic gives, as "
            "expected after a repair."
        )
    if report.same:
        number = report.kinds[DifferenceKind.IDENTICAL]
        return f"Nothing differs: {number:,} events are as they are in the topics.{excluded}"
    found = [f"{report.kinds[kind]:,} {kind}" for kind in DIFFERENT if report.kinds[kind]]
    return f"It differs: {', '.join(found)} (of {report.kinds.total():,} events).{excluded}"
