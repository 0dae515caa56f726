"""The picture of `track-pipeline top`: lines that fit into a terminal, and rows for a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

from rich.text import Text

from pipeline.cli.formats import NONE, about, counted, percent
from pipeline.cli.tables import Cell, CellKind, Column, TerminalTable
from pipeline.core.escape import one_line
from pipeline.metrics.catalogue import Metric
from pipeline.monitor.endpoint_figures import (
    EndpointFigures,
    EndpointsPicture,
    WorkerFigures,
)

_SMALL: Final = 100
"""Rates below it are shown with one decimal."""
_STYLES: Final = {"ready": "green", "unreachable": "red", "stuck": "red"}
_FEWEST: Final = 3
"""Endpoints and reasons that are shown even where there is little room."""

_RATES: Final[Mapping[str, tuple[Metric, *tuple[str, ...]]]] = {
    "records/s": (Metric.RECORDS_CONSUMED,),
    "enriched/s": (Metric.EVENTS_ENRICHED,),
    "dead letters/s": (Metric.EVENTS_DEAD_LETTERED,),
    "dropped/s": (Metric.EVENTS_DROPPED,),
    "commits/s": (Metric.TRANSACTIONS, "committed"),
    "aborts/s": (Metric.TRANSACTIONS, "aborted"),
    "forwarded/s": (Metric.EVENTS_FORWARDED,),
}
"""Name of a column → metric and its labels."""


def picture_lines(picture: EndpointsPicture, width: int, height: int) -> list[Text]:
    """Lines that fit into a terminal: sums first, then each endpoint, then reasons."""
    lines = [*_totals(picture.total, width), Text()]
    room = max(_FEWEST, (height - len(lines)) // 2)
    lines += _endpoints(picture.endpoints, width, room)
    if picture.total:
        room = max(_FEWEST, height - len(lines) - 3)
        lines += _reasons(picture.total, width, room)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _totals(total: WorkerFigures | None, width: int) -> Iterator[Text]:
    if total is None:
        yield Text("no endpoint answers", "red")
        return
    columns = [Column(name, CellKind.NUMBER, place) for place, name in enumerate(_RATES)]
    yield from TerminalTable(columns, width).lines([[_rate(total, *of) for of in _RATES.values()]])
    yield Text(_lag(total))
    shares = [f"{phase} {percent(share)}" for phase, share in total.phases().items()]
    yield Text(f"time: {', '.join(shares) or NONE}")
    if total.value(Metric.CONSERVATION):
        difference = counted(total.value(Metric.CONSERVATION) or 0, "event")
        yield Text(f"conservation: {difference} of difference, which is a bug", "red")
    resets, restarts = total.value(Metric.RESETS), total.value(Metric.WORKER_RESTARTS)
    if resets or restarts:
        parts = counted(resets or 0, "reset"), counted(restarts or 0, "restart")
        yield Text(f"since the start: {', '.join(parts)}", "yellow")


def _lag(total: WorkerFigures) -> str:
    partitions = counted(total.value(Metric.PARTITIONS_ASSIGNED) or 0, "partition")
    records = total.value(Metric.LAG_RECORDS)
    if records is None:
        return f"lag: not known; {partitions}"
    waits = total.lag_seconds
    oldest = "" if waits is None else f", the oldest waits for {about(waits)}"
    return f"lag: {counted(records, 'record')}{oldest if records else ''}; {partitions}"


def _rate(figures: WorkerFigures, metric: Metric, *labels: str) -> float | None:
    return rounded_rate(figures.rate(metric, *labels))


def rounded_rate(rate: float | None) -> float | None:
    """Round a number per second so that it can be read at a glance."""
    if rate is None:
        return None
    return round(rate, 1) if rate < _SMALL else round(rate)


def _endpoints(endpoints: Sequence[EndpointFigures], width: int, room: int) -> Iterator[Text]:
    """The endpoints, those that need attention first, and what is wrong with them."""
    ordered = sorted(endpoints, key=lambda each: each.health == "ready")
    columns = [
        Column("endpoint", CellKind.SHORT_TEXT, least=24),
        Column("health", CellKind.SHORT_TEXT),
        Column("workers", CellKind.ID, 3),
        Column("records/s", CellKind.NUMBER, 1),
        Column("lag", CellKind.NUMBER, 1),
        Column("waits", CellKind.ID, 2),
    ]
    yield from TerminalTable(columns, width).lines(map(_row, ordered[:room]))
    if len(ordered) > room:
        yield Text(f"… and {counted(len(ordered) - room, 'more endpoint')}", "dim")
    wrong = [(each.url, text) for each in ordered for text in each.sentences]
    sentences = [f"{url}: {text}" if len(endpoints) > 1 else text for url, text in wrong]
    lines = [line for each in sentences for line in wrap(one_line(each), width)]
    yield from (Text(line, "yellow") for line in lines[:room])
    if len(lines) > room:
        yield Text("… all of it: track-pipeline status --url", "dim")


def _row(each: EndpointFigures) -> list[Cell]:
    figures, health = each.figures, Text(one_line(each.health), _STYLES.get(each.health, "yellow"))
    if figures is None:
        return [each.url, health, None, None, None, None]
    running = figures.value(Metric.WORKERS, "running")
    waits = figures.lag_seconds
    return [
        each.url,
        health,
        f"{running}/{figures.value(Metric.WORKERS, 'configured')}",
        _rate(figures, Metric.RECORDS_CONSUMED),
        figures.value(Metric.LAG_RECORDS),
        None if waits is None else about(waits),
    ]


def _reasons(total: WorkerFigures, width: int, room: int) -> Iterator[Text]:
    reasons = total.reasons()
    if not reasons:
        return
    yield Text()
    columns = [
        Column("dead letters", CellKind.ID),
        Column("per second", CellKind.NUMBER),
        Column("since the start", CellKind.NUMBER),
    ]
    rows: list[list[Cell]] = [
        [reason, rounded_rate(rate), number] for reason, rate, number in reasons[:room]
    ]
    yield from TerminalTable(columns, width).lines(rows)
    if len(reasons) > room:
        yield Text(f"… and {counted(len(reasons) - room, 'more reason')}", "dim")


ROW_COLUMNS: Final = [
    Column("endpoint", CellKind.ID),
    Column("health", CellKind.ID),
    *(Column(name, CellKind.ID) for name in _RATES),
    Column("lag records", CellKind.ID),
    Column("lag seconds", CellKind.ID),
    Column("partitions", CellKind.ID),
    Column("wrong"),
]
"""Columns of the table for a pipe."""


def endpoint_rows(picture: EndpointsPicture) -> Iterator[list[Cell]]:
    """One row for each endpoint, exact."""
    for each in picture.endpoints:
        figures = each.figures
        values: list[Cell] = [None] * (len(_RATES) + 3)
        if figures:
            values = [
                *(figures.rate(*of) for of in _RATES.values()),
                figures.value(Metric.LAG_RECORDS),
                figures.lag_seconds,
                figures.value(Metric.PARTITIONS_ASSIGNED),
            ]
        yield [each.url, each.health, *values, "; ".join(each.sentences)]
