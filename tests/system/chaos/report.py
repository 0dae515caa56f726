"""What a run found, as tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.system.chaos.engine import Result

_SHOWN = 30


def print_result(console: Console, result: Result) -> None:
    """Faults and recoveries, evidence, verdicts, notes, and what is wrong."""
    console.print(_faults(result))
    console.print(_verdicts(result))
    if result.evidence is not None:
        seen = (f"{name.replace('_', ' ')} {n}" for name, n in result.evidence._asdict().items())
        console.print("not vacuous: " + ", ".join(seen))
    for line in result.vacuous:
        console.print(f"too tame: {line}", style="yellow", markup=False)
    for line in result.notes:
        console.print(f"note: {line}", style="yellow", markup=False)
    for line in result.wrong()[:_SHOWN]:
        console.print(f"wrong: {line}", style="red", markup=False)


def _faults(result: Result) -> Table:
    table = Table("fault", box=None)
    for title in ("fired", "recovered", "median s", "worst s"):
        table.add_column(title, justify="right")
    times: defaultdict[str, list[float]] = defaultdict(list)
    for goal in result.goals:
        if goal.took_s is not None:
            times[goal.name].append(goal.took_s)
    for name, fired in result.fired.items():
        took = times[name]
        recovered = str(len(took)) if took else ""
        table.add_row(name, str(fired), recovered, *_summary(took))
    every = [seconds for name in result.fired for seconds in times[name]]
    table.add_row("all", str(result.fired.total()), str(len(every)), *_summary(every), style="bold")
    return table


def _summary(seconds: Iterable[float]) -> tuple[str, str]:
    known = list(seconds)
    return (f"{median(known):.1f}", f"{max(known):.1f}") if known else ("", "")


def _verdicts(result: Result) -> Table:
    table = Table("judge", box=None)
    for title in ("events", "lost", "doubled", "otherwise wrong"):
        table.add_column(title, justify="right")
    for judge, found in result.verdicts.items():
        table.add_row(judge, *map(str, (found.events, found.lost, found.doubled, found.other)))
    return table
