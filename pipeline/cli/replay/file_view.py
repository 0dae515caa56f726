"""How files that are replayed are shown, before and while it is done."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline.core.escape import escaped
from pipeline.core.timestamps import time_text
from pipeline.replay.file_scan import Survey
from pipeline.replay.file_source import Archive


def file_table(archive: Archive, done: int | None = None) -> Table:
    """A row for each file; `done` is how many lines of all files are."""
    table = Table(box=None, pad_edge=False)
    names = ("file", "bytes", "lines") if done is None else ("file", "done", "lines")
    for name in names:
        table.add_column(name, justify="left" if name == "file" else "right")
    for file, start in zip(archive.files, archive.starts, strict=True):
        number = file.size if done is None else min(file.lines, max(0, done - start))
        table.add_row(*(Text(escaped(each)) for each in _row(file.name, number, file.lines)))
    return table


def _row(name: str, *numbers: int) -> list[str]:
    return [name, *(f"{number:,}" for number in numbers)]


def about_files(survey: Survey) -> list[str]:
    """What is in them, a line each."""
    plain = survey.records - survey.archived
    files = survey.archive.files
    where = "one file" if len(files) == 1 else f"{len(files):,} files"
    said = [f"{survey.archive.lines:,} lines in {where}, one worker"]
    if survey.archived:
        topics = ", ".join(survey.topics)
        said.append(f"{survey.archived:,} archived records of {topics}; they keep their sources")
    if plain:
        said.append(f"{plain:,} events without coordinates; their sources are file:line")
    if survey.first is not None and survey.last is not None:
        times = (time_text(each) or "-" for each in (survey.first, survey.last))
        said.append(f"received from {' to '.join(times)}")
    return said


def plain_survey(survey: Survey) -> dict[str, Any]:
    """As JSON values."""
    return {
        "lines": survey.archive.lines,
        "records": survey.records,
        "archived": survey.archived,
        "topics": list(survey.topics),
        "repeated": survey.repeated.count,
        "without_time": survey.without_time,
        "first": time_text(survey.first),
        "last": time_text(survey.last),
        "received_at": survey.archive.received_at,
    }
