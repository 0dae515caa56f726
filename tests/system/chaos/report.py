"""The findings of a run as tables, and its conclusion in one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.system.chaos.engine import RunResult

_SHOWN = 30


def print_result(console: Console, result: RunResult) -> None:
    """Print faults and recoveries, checks, coverage, notes, failures and the conclusion."""
    console.print(_faults(result))
    console.print(_checks(result))
    if result.coverage is not None:
        counts = (f"{name.replace('_', ' ')} {n}" for name, n in result.coverage._asdict().items())
        console.print("coverage: " + ", ".join(counts))
    for line in result.uncovered:
        console.print(f"not covered: {line}", style="yellow", markup=False)
    for line in result.notes:
        console.print(f"note: {line}", style="yellow", markup=False)
    for line in result.failures()[:_SHOWN]:
        console.print(f"failure: {line}", style="red", markup=False)
    console.print(conclusion(result), style="bold")


def conclusion(result: RunResult) -> str:
    """One line that says whether the run passed, and why not."""
    lost = max((check.lost for check in result.checks.values()), default=0)
    duplicated = max((check.duplicated for check in result.checks.values()), default=0)
    counts = f"{_count(lost)} lost, {duplicated or 'none'} duplicated"
    if result.ok:
        return f"PASSED: {counts}"
    if result.detected or result.violations:
        return f"FAILED: {counts}; failures are listed above"
    return f"INCONCLUSIVE: {counts}, but not everything was put to the test"


def _count(events: int) -> str:
    return f"{events or 'no'} event{'s' if events > 1 else ''}"


def _faults(result: RunResult) -> Table:
    table = Table("fault", box=None)
    for title in ("fired", "recovered", "median s", "worst s"):
        table.add_column(title, justify="right")
    times: defaultdict[str, list[float]] = defaultdict(list)
    for goal in result.goals:
        if goal.recovery_s is not None:
            times[goal.name].append(goal.recovery_s)
    for name, fired in result.fired.items():
        recoveries = times[name]
        recovered = str(len(recoveries)) if recoveries else ""
        table.add_row(name, str(fired), recovered, *_median_and_worst(recoveries))
    every = [seconds for name in result.fired for seconds in times[name]]
    total = str(result.fired.total())
    table.add_row("all", total, str(len(every)), *_median_and_worst(every), style="bold")
    return table


def _median_and_worst(seconds: Iterable[float]) -> tuple[str, str]:
    known = list(seconds)
    return (f"{median(known):.1f}", f"{max(known):.1f}") if known else ("", "")


def _checks(result: RunResult) -> Table:
    table = Table("check", box=None)
    for title in ("events", "lost", "duplicated", "otherwise wrong"):
        table.add_column(title, justify="right")
    for name, check in result.checks.items():
        table.add_row(name, *map(str, (check.events, check.lost, check.duplicated, check.other)))
    return table
