"""The findings of a run of alerts as a table, and its conclusion in one line."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.demo.local_kafka.jars import KAFKA_VERSION
from tests.system.chaos.alerts.compression import FACTOR
from tests.system.chaos.alerts.run import AlertOutcome, AlertsResult


def print_alerts(console: Console, result: AlertsResult) -> None:
    """Print what each alert did, what is wrong, and the conclusion."""
    console.print(
        f"Prometheus {result.prometheus}, Kafka {KAFKA_VERSION}; all times of the rules are"
        f" divided by {FACTOR}"
    )
    table = Table("alert", "severity", "fault", box=None)
    for title in ("fired after", f"times {FACTOR}", "expected", "ended after"):
        table.add_column(title, justify="right")
    for outcome in result.outcomes:
        table.add_row(*_cells(outcome))
    console.print(table)
    for problem in result.problems():
        console.print(f"failure: {problem}", style="red", markup=False)
    console.print(alerts_conclusion(result), style="bold")


def alerts_conclusion(result: AlertsResult) -> str:
    """One line that says whether each alert fired and ended."""
    wrong, total = len(result.problems()), len(result.outcomes)
    if wrong:
        return f"FAILED: {wrong} of {total} alerts did not fire and end as they must, see above"
    return f"PASSED: each of {total} alerts fired by its fault, and ended after it"


def _cells(outcome: AlertOutcome) -> tuple[str, ...]:
    key, fired_s = outcome.key, outcome.fired_s
    return (
        key.name.removeprefix("TrackPipeline"),
        key.severity,
        outcome.fault,
        "never" if fired_s is None else f"{fired_s:.1f} s",
        "" if fired_s is None else _minutes(fired_s * FACTOR),
        _minutes(outcome.expected_s),
        "" if outcome.ended_s is None else f"{outcome.ended_s:.1f} s",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"
