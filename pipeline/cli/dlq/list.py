"""`track-pipeline dlq list`: dead letters, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.help import Command
from pipeline.cli.output import print_json, print_notice, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.masking import mask
from pipeline.dlq.as_json import to_dict
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.reader import DlqReader, open_reader
from pipeline.dlq.request import DlqRequest

_COLUMNS: Final = (
    Column("position", CellKind.ID),
    Column("failed at", CellKind.TIME),
    Column("reason", CellKind.ID),
    Column("event", CellKind.SHORT_TEXT, 1),
    Column("source", CellKind.ID, 3),
    Column("detail", CellKind.SHORT_TEXT, 2, least=24),
)
_DONE: Final = Column("done", CellKind.ID)


@click.command("list", cls=Command, groups=groups())
@dlq_command
def list_dead_letters(request: DlqRequest, display: Display) -> None:
    """List dead letters, one line each, in the order of the topic.

    A terminal gets a table that fits; a pipe gets all columns, separated by tabs, below a header.

    Exit code 0, also when there are none.
    """
    reader = open_reader(request, print_notice, only_shows=True)
    listing = _Listing(request, display, reader)
    if display.as_json:
        for document in listing.documents():
            print_json(document)
    else:
        columns = (*_COLUMNS, _DONE) if request.include_done else _COLUMNS
        print_table(columns, listing.rows())
    note_coverage(request, reader.coverage, listing.count)


class _Listing:
    """Rows of a list, counted while they are printed: a million of them is never kept."""

    def __init__(self, request: DlqRequest, display: Display, reader: DlqReader) -> None:
        self._include_done = request.include_done
        self._reveal = display.reveal
        self._reader = reader
        self.count = 0

    def documents(self) -> Iterator[dict[str, object]]:
        """Dead letters as JSON values."""
        for dead_letter in self._dead_letters():
            document = to_dict(dead_letter, reveal=self._reveal)
            yield {**document, "done": self._done(dead_letter)}

    def rows(self) -> Iterator[list[Cell]]:
        """Dead letters as rows of the table."""
        for dead_letter in self._dead_letters():
            row: list[Cell] = [
                dead_letter.position,
                dead_letter.failed_at or None,
                self._shown(dead_letter.reason),
                self._shown(dead_letter.event),
                dead_letter.source.text() if dead_letter.source else None,
                self._shown(dead_letter.problems[0].detail),
            ]
            yield [*row, self._done(dead_letter)] if self._include_done else row

    def _dead_letters(self) -> Iterator[DeadLetter]:
        with reading_progress(printing=True) as on_progress:
            for dead_letter in self._reader.dead_letters(on_progress):
                self.count += 1
                yield dead_letter

    def _done(self, dead_letter: DeadLetter) -> str | None:
        return self._reader.ledger.action(dead_letter.partition, dead_letter.offset)

    def _shown(self, text: str) -> str | None:
        return (text if self._reveal else mask(text)) or None
