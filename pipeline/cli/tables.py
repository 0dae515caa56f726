"""Tables as lines of text: what fits into a terminal, and every row of a pipe.

Identifiers and amounts are never cut. In a narrow terminal texts are folded or shortened first;
then the columns of lowest priority are left out, and `TerminalTable.left_out` names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pipeline.cli.formats import NONE, Money, about, moment, percent, rounded
from pipeline.core.escape import escaped, one_line
from pipeline.core.timestamps import time_text
from pipeline.reconcile.revenue import exact_amount

_GAP: Final = "  "
_AT_ONCE: Final = 500
"""Number of rows that are measured together, so that a million rows begin to appear at once."""


class CellKind(Enum):
    """The kind of values in a column."""

    ID = "id"
    """Text or a number to copy: never cut, without separators."""
    NUMBER = "number"
    SHARE = "share"
    """A fraction from 0 to 1."""
    MONEY = "money"
    """`Money`: rounded on a terminal, exact in a pipe."""
    TIME = "time"
    """Epoch milliseconds, shown in UTC."""
    DURATION = "duration"
    """Seconds: rounded to two units on a terminal."""
    TEXT = "text"
    """Text that is folded into several lines when there is no room."""
    SHORT_TEXT = "short text"
    """Text that is shortened with … instead, so that a row stays one line."""


Cell = str | int | float | Money | Text | None
"""A str is escaped where it is shown; a Text, which has a style, is made of escaped text."""
_FLEXIBLE: Final = frozenset({CellKind.TEXT, CellKind.SHORT_TEXT})


@dataclass(frozen=True)
class Column:
    """A column of a table, and what happens to it where there is little room."""

    name: str
    kind: CellKind = CellKind.TEXT
    priority: int = 0
    """0: the column is never left out. Of the others, the highest number is left out first."""
    least: int = 16
    """Width down to which text is folded or shortened before columns are left out."""


def piped_lines(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Format a line of column names and a line for each row, with cells separated by tabs."""
    yield "\t".join(one_line(column.name) for column in columns)
    for row in rows:
        cells = zip(row, columns, strict=True)
        yield "\t".join(one_line(_parsable(cell, column.kind)) for cell, column in cells)


def _parsable(cell: Cell, kind: CellKind) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Money):
        return exact_amount(cell.amount)
    if kind is CellKind.TIME and isinstance(cell, int):
        return time_text(cell) or ""
    return cell.plain if isinstance(cell, Text) else str(cell)


def _readable(cell: Cell, kind: CellKind) -> Text:
    return cell if isinstance(cell, Text) else Text(_readable_text(cell, kind))


def _readable_text(cell: str | float | Money | None, kind: CellKind) -> str:
    match cell:
        case None:
            text = NONE
        case Money():
            text = rounded(cell)
        case str():
            text = escaped(cell) if kind is CellKind.TEXT else one_line(cell)
        case _ if kind is CellKind.TIME:
            text = moment(int(cell))
        case _ if kind is CellKind.DURATION:
            text = about(cell)
        case _ if kind is CellKind.SHARE:
            text = percent(cell)
        case _:
            text = str(cell) if kind is CellKind.ID else f"{cell:,}"
    return text


class TerminalTable:
    """A table that fits into a width: which columns it shows, and how wide they are."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        self._columns, self._width = columns, width
        self._shown = list(range(len(columns)))
        self._natural = [cell_len(column.name) for column in columns]
        self._right: set[int] = set()
        self._console = Console(width=width)

    @property
    def left_out(self) -> list[str]:
        """Names of the columns that do not fit."""
        return [
            column.name for index, column in enumerate(self._columns) if index not in self._shown
        ]

    def lines(self, rows: Iterable[Sequence[Cell]]) -> Iterator[Text]:
        """Format a heading, unless no column has a name, and the rows; nothing without rows."""
        source, first = iter(rows), True
        while piece := list(islice(source, _AT_ONCE)):
            cells = [
                [_readable(cell, each.kind) for cell, each in zip(row, self._columns, strict=True)]
                for row in piece
            ]
            self._measure(cells)
            if first:
                self._align(piece)
                self._leave_out()
            widths = self._widths()
            if first and any(column.name for column in self._columns):
                heading = [Text(escaped(column.name), "bold") for column in self._columns]
                yield from self._row_lines(heading, widths)
            first = False
            for row in cells:
                yield from self._row_lines(row, widths)

    def _measure(self, rows: list[list[Text]]) -> None:
        for index in range(len(self._columns)):
            widest = max(cell_len(line) for row in rows for line in row[index].plain.split("\n"))
            self._natural[index] = max(self._natural[index], widest)

    def _align(self, rows: list[Sequence[Cell]]) -> None:
        for index, column in enumerate(self._columns):
            numbers = all(
                row[index] is None or isinstance(row[index], (int, float, Money)) for row in rows
            )
            if numbers and column.kind is not CellKind.TIME:
                self._right.add(index)

    def _least(self, index: int) -> int:
        column, natural = self._columns[index], self._natural[index]
        return min(natural, column.least) if column.kind in _FLEXIBLE else natural

    def _room(self) -> int:
        """Width that is left when each column has its least width; negative if they do not fit."""
        gaps = len(_GAP) * (len(self._shown) - 1)
        return self._width - gaps - sum(map(self._least, self._shown))

    def _leave_out(self) -> None:
        while self._room() < 0:
            last = max(self._shown, key=lambda index: self._columns[index].priority)
            if not self._columns[last].priority:
                return  # the terminal breaks the lines; nothing is cut
            self._shown.remove(last)

    def _widths(self) -> dict[int, int]:
        """Width of each shown column; texts share the room that is left."""
        widths = {index: self._least(index) for index in self._shown}
        room = max(0, self._room())
        lacking = {index: self._natural[index] - width for index, width in widths.items()}
        for place, index in enumerate(sorted(lacking, key=lambda index: lacking[index])):
            more = min(lacking[index], room // (len(lacking) - place))
            widths[index] += more
            room -= more
        return widths

    def _row_lines(self, row: Sequence[Text], widths: dict[int, int]) -> Iterator[Text]:
        folded = [self._folded(row[index], index, width) for index, width in widths.items()]
        for number in range(max(map(len, folded))):
            pieces = []
            for (index, width), cell in zip(widths.items(), folded, strict=True):
                text = cell[number] if number < len(cell) else Text()
                padding = Text(" " * (width - cell_len(text.plain)))
                pieces.append(padding + text if index in self._right else text + padding)
            line = Text(_GAP).join(pieces)
            line.rstrip()
            yield line

    def _folded(self, cell: Text, index: int, width: int) -> list[Text]:
        if self._columns[index].kind is CellKind.SHORT_TEXT:
            short = cell.copy()
            short.truncate(width, overflow="ellipsis")
            return [short]
        return list(cell.wrap(self._console, max(1, width), overflow="fold"))
