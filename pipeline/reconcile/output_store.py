"""The outputs to compare, in a temporary SQLite file.

The file is sorted by source, so the outputs of a raw partition are read back in the order of its
offsets, whatever their order in the output topics was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.core.coordinates import Source
from pipeline.reconcile.outputs import OutputRow
from pipeline.reconcile.spill import CACHE_KIB, Spill, insert

_SOURCE: Final = "topic, partition, offset, item"
_POSITION: Final = "role, out_partition, out_offset"
_REST: Final = "digest, timestamp, key, marks, revenue"
_KEY: Final = f"PRIMARY KEY ({_SOURCE}, {_POSITION})"
_COLUMNS: Final = f"{_SOURCE}, {_POSITION}, {_REST}"
_FIELDS: Final = len(OutputRow._fields)
_PAGE_ROWS: Final = 500

_BY_KEY: Final = "topic, partition, role, out_partition, key, offset, item, out_offset"
_SCHEMA: Final = f"""
CREATE TABLE output ({_COLUMNS}, {_KEY}) WITHOUT ROWID;
CREATE TABLE unmatched ({_COLUMNS}, kind, {_KEY}) WITHOUT ROWID;
CREATE TABLE redriven ({_SOURCE}, {_POSITION}, revenue, {_KEY}) WITHOUT ROWID;
CREATE TABLE deferred (number INTEGER PRIMARY KEY, expected BLOB);
CREATE TABLE by_key ({_BY_KEY}, PRIMARY KEY ({_BY_KEY})) WITHOUT ROWID;
"""
_FILL_BY_KEY: Final = f"INSERT INTO by_key SELECT {_BY_KEY} FROM output WHERE key IS NOT NULL"  # noqa: S608
_LAST_OF_KEY: Final = """
SELECT max(out_offset) FROM by_key AS earlier
WHERE topic = ? AND partition = ? AND role = ? AND out_partition = ? AND key = ?
  AND (offset, item) < (?, ?)
  AND NOT EXISTS (
    SELECT 1 FROM unmatched WHERE topic = earlier.topic AND partition = earlier.partition
      AND offset = earlier.offset AND item = earlier.item AND role = earlier.role
      AND out_partition = earlier.out_partition AND out_offset = earlier.out_offset
  )
"""


class OutputStore(Spill):
    """Outputs by source. See `Spill`."""

    def __init__(self, folder: Path | None = None, cache_kib: int = CACHE_KIB) -> None:
        super().__init__(_SCHEMA, folder, cache_kib)
        self._indexed = False
        self._has_redriven = False

    def add(self, rows: Iterable[OutputRow]) -> None:
        """Add outputs; one with the same topic, partition and offset replaces the earlier one."""
        self._database.executemany(insert("output", _FIELDS), rows)

    def of_partition(self, topic: str, partition: int) -> Iterator[OutputRow]:
        """Yield the outputs of a raw partition in the order of its offsets.

        Other rows may be added meanwhile.
        """
        query = (
            f"SELECT {_COLUMNS} FROM output WHERE topic = ? AND partition = ? "  # noqa: S608
            f"ORDER BY {_SOURCE}, {_POSITION}"
        )
        yield from map(OutputRow._make, self._database.execute(query, (topic, partition)))

    def of_source(self, source: Source) -> list[OutputRow]:
        """Return the outputs of one raw record, all of its items."""
        return [OutputRow._make(row) for row in self._of_source("output", _COLUMNS, source)]

    def add_unmatched(self, rows: Iterable[OutputRow], kind: str) -> None:
        """Add outputs that match no event so far, and why."""
        values = ((*row, kind) for row in rows)
        self._database.executemany(insert("unmatched", _FIELDS + 1), values)

    def add_redriven(self, rows: Iterable[OutputRow]) -> None:
        """Add the revenue of events that redrives have written."""
        values = [(*row[:7], row.revenue) for row in rows]
        self._has_redriven = self._has_redriven or bool(values)
        self._database.executemany(insert("redriven", len(OutputRow._fields[:7]) + 1), values)

    def redriven_of(self, source: Source) -> list[tuple[int, str | None]]:
        """Return (item, revenue) of the events that redrives have written for one raw record."""
        if not self._has_redriven:  # as in most audits
            return []
        return list(self._of_source("redriven", "item, revenue", source))

    def unmatched_of(self, source: Source) -> list[OutputRow]:
        """Return the unmatched outputs of one raw record, all of its items."""
        return [OutputRow._make(row) for row in self._of_source("unmatched", _COLUMNS, source)]

    def remove_unmatched(self, rows: Sequence[OutputRow]) -> None:
        """Remove outputs that have found their event."""
        query = "DELETE FROM unmatched WHERE (topic, partition, offset, item) = (?, ?, ?, ?) "
        query += "AND (role, out_partition, out_offset) = (?, ?, ?)"
        self._database.executemany(query, [row[:7] for row in rows])

    def unmatched(self) -> Iterator[tuple[OutputRow, str]]:
        """Yield every output that is still unmatched, by source, and why it is."""
        query = f"SELECT * FROM unmatched ORDER BY {_SOURCE}, {_POSITION}"  # noqa: S608  names of ours
        for *row, kind in self._database.execute(query):
            yield OutputRow._make(row), kind

    def _of_source(self, table: str, columns: str, source: Source) -> Iterator[tuple[Any, ...]]:
        query = (
            f"SELECT {columns} FROM {table} "  # noqa: S608  names of ours
            f"WHERE (topic, partition, offset) = (?, ?, ?) ORDER BY {_SOURCE}, {_POSITION}"
        )
        return self._database.execute(query, source[:3])

    def defer(self, expected: bytes) -> None:
        """Keep what is expected of a record until all other records have been matched."""
        self._database.execute("INSERT INTO deferred (expected) VALUES (?)", (expected,))

    def deferred(self) -> Iterator[bytes]:
        """Yield what was deferred, in order; `remove_unmatched` may be called meanwhile."""
        number = 0
        query = "SELECT number, expected FROM deferred WHERE number > ? ORDER BY number LIMIT ?"
        while page := self._database.execute(query, (number, _PAGE_ROWS)).fetchall():
            for number, expected in page:  # noqa: B007  the last one is where the next page begins
                yield expected

    def last_of_key(self, row: OutputRow) -> int | None:
        """Return the offset of the last earlier event with the same key in the output partition."""
        if not self._indexed:
            # Only needed when something is out of order, which is rare.
            self._database.execute(_FILL_BY_KEY)
            self._indexed = True
        values: tuple[Any, ...] = (
            row.topic, row.partition, row.role, row.out_partition, row.key, row.offset, row.item
        )  # fmt: skip
        (last,) = self._database.execute(_LAST_OF_KEY, values).fetchone()
        return None if last is None else int(last)


class RowCursor:
    """Reads the outputs of one raw partition in the order of its offsets, each once."""

    def __init__(self, rows: Iterator[OutputRow]) -> None:
        self._rows = rows
        self._head = next(rows, None)

    def before(self, offset: int) -> list[OutputRow]:
        """Take the outputs of all earlier offsets that were not taken yet."""
        taken = []
        while self._head is not None and self._head.offset < offset:
            taken.append(self._head)
            self._head = next(self._rows, None)
        return taken

    def take(self, offset: int) -> list[OutputRow]:
        """Take the outputs of this offset."""
        taken = []
        while self._head is not None and self._head.offset == offset:
            taken.append(self._head)
            self._head = next(self._rows, None)
        return taken

    def rest(self) -> Iterator[OutputRow]:
        """Take all outputs that are left."""
        if self._head is not None:
            yield self._head
            yield from self._rows
