"""Results of a measurement: tables with goals, printed for people or as one JSON document."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import confluent_kafka
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.demo.local_kafka.jars import KAFKA_VERSION

WIDTH: Final = 120
Cell = str | float | None
"""Text, a number that the column formats, or None where there is nothing."""
_BUSY_LOAD: Final = 0.3
"""Load per processor, before anything is measured, from which other processes spoil the figures."""


class Column(NamedTuple):
    """A column of a table: its title, and how its numbers are written."""

    title: str
    form: str = ""

    def text(self, cell: Cell) -> str:
        """Format a cell."""
        if cell is None:
            return ""
        return cell if isinstance(cell, str) else format(cell, self.form)


class Goal(NamedTuple):
    """A limit for a figure."""

    what: str
    measured: float
    limit: float
    form: str = ".2f"
    unit: str = "×"

    @property
    def is_met(self) -> bool:
        """Whether the figure, as it is printed, is not above the limit."""
        return float(format(self.measured, self.form)) <= self.limit

    def sentence(self) -> str:
        """Say the figure and the goal, and whether it is met."""
        figure, limit = format(self.measured, self.form), format(self.limit, self.form)
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.what}: {figure}{self.unit} (goal ≤ {limit}{self.unit}): {verdict}"


class Result(NamedTuple):
    """One table, and the goals that its figures have."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return names and numbers, unrounded."""
        titles = [column.title for column in self.columns]
        return {
            "title": self.title,
            "rows": [dict(zip(titles, row, strict=True)) for row in self.rows],
            "goals": [
                {
                    "what": goal.what,
                    "measured": goal.measured,
                    "limit": goal.limit,
                    "met": goal.is_met,
                }
                for goal in self.goals
            ],
            "notes": list(self.notes),
        }


class Report:
    """Prints each result at once; as JSON, all of them at the end, and progress on standard error.

    Without a terminal, tables have `WIDTH` columns.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._results: list[Result] = []
        stream = sys.stderr if as_json else sys.stdout
        width = None if stream.isatty() else WIDTH
        self.console = Console(file=stream, highlight=False, width=width)
        self.progress(", ".join(machine().values()))
        if (busy := os.getloadavg()[0] / processors()) > _BUSY_LOAD:
            self.progress(f"the machine is busy already (load {busy:.1f} per processor)")

    def progress(self, text: str) -> None:
        """Print a line about what is being done."""
        self.console.print(f"· {escape(text)}", soft_wrap=True)

    def add(self, result: Result) -> None:
        """Print a result, and keep it for the end."""
        self._results.append(result)
        self.console.print(f"\n{escape(result.title)}", soft_wrap=True)
        self.console.print(_table(result))
        lines = [*result.notes, *(goal.sentence() for goal in result.goals)]
        for line in lines:
            self.console.print(f"  {escape(line)}", soft_wrap=True)

    def finish(self) -> None:
        """Print the JSON document, if it was asked for."""
        if self._as_json:
            document = {
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "machine": machine(),
                "results": [result.as_json() for result in self._results],
            }
            print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201  the output


def _table(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for number, column in enumerate(result.columns):
        table.add_column(column.title, justify="right" if number else "left", no_wrap=not number)
    for row in result.rows:
        cells = zip(result.columns, row, strict=True)
        table.add_row(*(escape(column.text(cell)) for column, cell in cells))
    return table


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> dict[str, str]:
    """Describe what was measured on."""
    return {
        "processors": f"{processors()} × {_model()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "client": f"librdkafka {confluent_kafka.libversion()[0]}",
        "broker": f"Kafka {KAFKA_VERSION} on the same machine",
    }


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(_values(lines, "model name"), platform.machine())


def _values(lines: Iterable[str], name: str) -> Iterator[str]:
    return (line.partition(":")[2].strip() for line in lines if line.startswith(name))
