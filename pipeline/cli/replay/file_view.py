"""How files that are replayed are shown, before and while it is done."""

from __future__ import annotations

from typing import Any

from pipeline.cli.formats import counted, moment
from pipeline.cli.output import print_table
from pipeline.cli.tables import CellKind, Column
from pipeline.core.timestamps import time_text
from pipeline.replay.file_scan import FileScan
from pipeline.replay.file_source import Archive


def print_files(archive: Archive, done: int | None = None) -> None:
    """Print a row for each file; `done` is how many lines of all files are."""
    number = Column("bytes" if done is None else "done", CellKind.NUMBER)
    columns = (Column("file", CellKind.ID), number, Column("lines", CellKind.NUMBER))
    rows = []
    for file, start in zip(archive.files, archive.starts, strict=True):
        first = file.size if done is None else min(file.lines, max(0, done - start))
        rows.append((file.name, first, file.lines))
    print_table(columns, rows)


def about_files(scan: FileScan) -> list[str]:
    """Say what is in the files, a line each."""
    plain = scan.records - scan.archived
    files = scan.archive.files
    where = "one file" if len(files) == 1 else f"{len(files):,} files"
    said = [f"{scan.archive.lines:,} lines in {where}, one worker"]
    if scan.archived:
        topics = ", ".join(scan.topics)
        said.append(f"{scan.archived:,} archived records of {topics}; they keep their sources")
    if plain:
        said.append(f"{counted(plain, 'event')} without coordinates; their sources are file:line")
    if scan.first is not None and scan.last is not None:
        said.append(f"received from {moment(scan.first)} to {moment(scan.last)}")
    return said


def scan_document(scan: FileScan) -> dict[str, Any]:
    """Return what was found in the files as JSON values."""
    return {
        "lines": scan.archive.lines,
        "records": scan.records,
        "archived": scan.archived,
        "topics": list(scan.topics),
        "repeated": scan.repeated.count,
        "without_time": scan.without_time,
        "first": time_text(scan.first),
        "last": time_text(scan.last),
        "received_at": scan.archive.received_at,
    }
