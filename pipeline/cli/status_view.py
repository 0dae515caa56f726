"""The status of a pipeline as text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.cli.formats import NONE, about, counted, moment, percent
from pipeline.cli.output import is_terminal, print_heading, print_indented, print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.coordinates import format_ranges
from pipeline.monitor import ClusterStatus, PartitionStatus, StatusLimits, WorkerReport

_PARTITIONS: Final = (
    Column("partition", CellKind.ID),
    Column("committed", CellKind.NUMBER, priority=2),
    Column("end", CellKind.NUMBER, priority=3),
    Column("lag", CellKind.NUMBER),
    Column("waits for", CellKind.DURATION),
    Column("deleted in", CellKind.DURATION, priority=1),
    Column("last commit", CellKind.TIME, priority=4),
    Column("contract", CellKind.ID, priority=5),
    Column("member", CellKind.SHORT_TEXT, priority=1),
)
_MEMBERS: Final = (
    Column("member", CellKind.SHORT_TEXT),
    Column("client", CellKind.SHORT_TEXT, priority=1),
    Column("host", CellKind.SHORT_TEXT, priority=1),
    Column("partitions", CellKind.TEXT),
)
_WORKERS: Final = (
    Column("worker", CellKind.ID),
    Column("instance", CellKind.SHORT_TEXT, priority=2),
    Column("process", CellKind.ID, priority=4),
    Column("state", CellKind.ID),
    Column("partitions", CellKind.NUMBER, priority=1),
    Column("lag", CellKind.NUMBER),
    Column("waits for", CellKind.DURATION),
    Column("committed", CellKind.NUMBER, priority=3),
    Column("last commit", CellKind.ID, priority=3),
)


def print_status(status: ClusterStatus) -> None:
    """Print everything, for people."""
    for line in _summary(status):
        print_line(line)
    for sentence in status.notices:
        print_line(f"note: {sentence}", "yellow")
    print_line()
    print_partitions(status)
    if status.members:
        print_heading("Members of the group")
        print_table(_MEMBERS, _member_rows(status))
    if status.open_transactions:
        print_heading("Open transactions")
        print_indented(
            "Readers of these partitions wait at the offset. Short ones are normal while workers "
            "write.",
            columns=0,
        )
        rows = [
            (each.role, f"{each.topic}/{each.partition}/{each.offset}")
            for each in status.open_transactions
        ]
        print_table((Column("role", CellKind.ID), Column("from record", CellKind.ID)), rows)


def print_partitions(status: ClusterStatus) -> None:
    """Print the table of partitions, which is all that a pipe gets."""
    print_table(_PARTITIONS, map(_partition_row, status.partitions))


def _partition_row(each: PartitionStatus) -> tuple[Cell, ...]:
    return (
        each.partition,
        each.committed,
        each.end,
        each.lag_records,
        each.lag_seconds,
        each.retention_seconds,
        each.committed_at,
        each.contract or None,
        each.member,
    )


def _member_rows(status: ClusterStatus) -> Iterable[tuple[Cell, ...]]:
    for each in sorted(status.members, key=lambda member: min(member.partitions, default=0)):
        yield (
            each.name,
            each.client,
            each.host.removeprefix("/"),
            format_ranges(each.partitions) or NONE,
        )


def _summary(status: ClusterStatus) -> Iterator[str]:
    members = counted(len(status.members), "member")
    partitions = counted(len(status.partitions), "partition")
    state = status.state.lower().replace("_", " ")
    yield f"group {status.group} reads {status.topic}: {members}, {partitions}, {state}"
    yield _lag(status)
    if status.retention_seconds is not None:
        yield f"retention may delete unread records in {about(status.retention_seconds)}"
    yield f"contract {', '.join(status.contracts) or NONE}; last commit {_last_commit(status)}"
    yield _breaker(status)


def _last_commit(status: ClusterStatus) -> str:
    at = status.last_commit_at
    return NONE if at is None else f"{moment(at)} ({about((status.at - at) / 1000)} ago)"


def _lag(status: ClusterStatus) -> str:
    if any(each.lag_records is None for each in status.partitions):
        known = f"{status.lag_records:,} or more records behind"
    elif not status.lag_records:
        return "up to date"
    else:
        known = f"{counted(status.lag_records, 'record')} behind"
    return f"{known}; the oldest waits for {about(status.lag_seconds)}"


def _breaker(status: ClusterStatus) -> str:
    found = status.breaker
    if found is None:
        return "circuit breaker: not known"
    usual = f"usually {percent(found.usual)}"
    if not found.left:
        return f"circuit breaker: closed at the last commit ({usual} are rejected)"
    left = f"{counted(found.left, 'event')} left to watch"
    return f"circuit breaker: armed, {left}; {found.invalid:,} rejected ({usual})"


def print_reports(reports: Mapping[str, WorkerReport], limits: StatusLimits) -> None:
    """Print what endpoints say about their workers, in words; a table of workers in a pipe.

    Why a check of the health fails is left to its error, which is printed behind.
    """
    if not is_terminal():
        rows = ((url, *row) for url, each in reports.items() for row in _worker_rows(each))
        print_table((Column("url", CellKind.ID), *_WORKERS), rows)
        return
    for url, report in reports.items():
        says = report.summary if report.is_healthy(limits) else f"{report.health}, see below"
        print_line(f"{url}: {says}", "" if report.live and report.ready else "yellow")
        program = f"track-pipeline {report.version}, contract {report.contract}"
        print_line(f"{program}, since {report.started_at}")
        print_table(_WORKERS, _worker_rows(report))


def _worker_rows(report: WorkerReport) -> Iterator[tuple[Cell, ...]]:
    for each in report.workers:
        yield (
            each.worker,
            each.instance,
            each.pid,
            each.state,
            each.partitions,
            each.lag_records,
            each.lag_seconds,
            each.committed_records,
            each.last_commit_at,
        )
