"""The outputs that are compared, in a temporary SQLite file.

The file is sorted by source, so that the outputs of a raw partition are read back in the order of
its offsets, whatever their order in the output topics was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.core.coordinates import Source
from pipeline.reconcile.outputs import Found
from pipeline.reconcile.spill import CACHE_KIB, Spill, insert

_SOURCE: Final = "topic, partition, offset, item"
_PLACE: Final = "role, out_partition, out_offset"
_REST: Final = "print, timestamp, key, marks, cash"
_COLUMNS: Final = f"{_SOURCE}, {_PLACE}, {_REST}"
_FIELDS: Final = len(Found._fields)
_PAGE_ROWS: Final = 500

_BY_KEY: Final = "topic, partition, role, out_partition, key, offset, item, out_offset"
_SCHEMA: Final = f"""
CREATE TABLE found ({_COLUMNS}, PRIMARY KEY ({_SOURCE}, {_PLACE})) WITHOUT ROWID;
CREATE TABLE extra ({_COLUMNS}, standing, PRIMARY KEY ({_SOURCE}, {_PLACE})) WITHOUT ROWID;
CREATE TABLE redriven ({_SOURCE}, {_PLACE}, cash, PRIMARY KEY ({_SOURCE}, {_PLACE})) WITHOUT ROWID;
CREATE TABLE deferred (number INTEGER PRIMARY KEY, expected BLOB);
CREATE TABLE by_key ({_BY_KEY}, PRIMARY KEY ({_BY_KEY})) WITHOUT ROWID;
"""
_FILL_BY_KEY: Final = f"INSERT INTO by_key SELECT {_BY_KEY} FROM found WHERE key IS NOT NULL"  # noqa: S608
_LAST_OF_KEY: Final = """
SELECT max(out_offset) FROM by_key AS earlier
WHERE topic = ? AND partition = ? AND role = ? AND out_partition = ? AND key = ?
  AND (offset, item) < (?, ?)
  AND NOT EXISTS (
    SELECT 1 FROM extra WHERE topic = earlier.topic AND partition = earlier.partition
      AND offset = earlier.offset AND item = earlier.item AND role = earlier.role
      AND out_partition = earlier.out_partition AND out_offset = earlier.out_offset
  )
"""


class Store(Spill):
    """Rows by source; see `Spill`."""

    def __init__(self, folder: Path | None = None, cache_kib: int = CACHE_KIB) -> None:
        super().__init__(_SCHEMA, folder, cache_kib)
        self._indexed = False
        self._has_redriven = False

    def add(self, rows: Iterable[Found]) -> None:
        """Keep outputs; a place that is added again replaces itself."""
        self._database.executemany(insert("found", _FIELDS), rows)

    def of_partition(self, topic: str, partition: int) -> Iterator[Found]:
        """The outputs of a raw partition, in the order of its offsets; others may be added."""
        query = (
            f"SELECT {_COLUMNS} FROM found WHERE topic = ? AND partition = ? "  # noqa: S608
            f"ORDER BY {_SOURCE}, {_PLACE}"
        )
        yield from map(Found._make, self._database.execute(query, (topic, partition)))

    def of_source(self, source: Source) -> list[Found]:
        """The outputs of one raw record, all of its items."""
        query = (
            f"SELECT {_COLUMNS} FROM found "  # noqa: S608  names of ours
            f"WHERE topic = ? AND partition = ? AND offset = ? ORDER BY {_SOURCE}, {_PLACE}"
        )
        return [Found._make(row) for row in self._database.execute(query, source[:3])]

    def set_aside(self, rows: Iterable[Found], standing: str) -> None:
        """Keep outputs that no event has claimed yet, and why."""
        values = ((*row, standing) for row in rows)
        self._database.executemany(insert("extra", _FIELDS + 1), values)

    def add_redriven(self, rows: Iterable[Found]) -> None:
        """Keep the money of what redrives have sent."""
        values = [(*row[:7], row.cash) for row in rows]
        self._has_redriven = self._has_redriven or bool(values)
        self._database.executemany(insert("redriven", len(Found._fields[:7]) + 1), values)

    def redriven_of(self, source: Source) -> list[tuple[int, str | None]]:
        """Item and money of what redrives have sent for one raw record (all of its items)."""
        if not self._has_redriven:  # as in most audits
            return []
        query = "SELECT item, cash FROM redriven "
        query += f"WHERE topic = ? AND partition = ? AND offset = ? ORDER BY {_SOURCE}, {_PLACE}"
        return self._database.execute(query, source[:3]).fetchall()

    def unclaimed_of(self, source: Source) -> list[Found]:
        """Outputs that were set aside, of one raw record (all of its items)."""
        query = (
            f"SELECT {_COLUMNS} FROM extra "  # noqa: S608  names of ours
            f"WHERE topic = ? AND partition = ? AND offset = ? ORDER BY {_SOURCE}, {_PLACE}"
        )
        return [Found._make(row) for row in self._database.execute(query, source[:3])]

    def claim(self, rows: Sequence[Found]) -> None:
        """Forget outputs that were set aside."""
        query = "DELETE FROM extra WHERE (topic, partition, offset, item) = (?, ?, ?, ?) "
        query += "AND (role, out_partition, out_offset) = (?, ?, ?)"
        self._database.executemany(query, [row[:7] for row in rows])

    def unclaimed(self) -> Iterator[tuple[Found, str]]:
        """Everything that is still set aside, by source, and why it was."""
        query = f"SELECT * FROM extra ORDER BY {_SOURCE}, {_PLACE}"  # noqa: S608  names of ours
        for *row, standing in self._database.execute(query):
            yield Found._make(row), standing

    def defer(self, expected: bytes) -> None:
        """Keep what is expected of a record until all outputs have been looked at."""
        self._database.execute("INSERT INTO deferred (expected) VALUES (?)", (expected,))

    def deferred(self) -> Iterator[bytes]:
        """What was deferred, in order; `claim` may be called meanwhile."""
        number = 0
        query = "SELECT number, expected FROM deferred WHERE number > ? ORDER BY number LIMIT ?"
        while page := self._database.execute(query, (number, _PAGE_ROWS)).fetchall():
            for number, expected in page:  # noqa: B007  the last one is where the next page begins
                yield expected

    def last_of_key(self, row: Found) -> int | None:
        """Where the last earlier event of the same key stands in the same output partition."""
        if not self._indexed:
            # Only needed when something is out of order, which is rare.
            self._database.execute(_FILL_BY_KEY)
            self._indexed = True
        wanted: tuple[Any, ...] = (
            row.topic, row.partition, row.role, row.out_partition, row.key, row.offset, row.item
        )  # fmt: skip
        (last,) = self._database.execute(_LAST_OF_KEY, wanted).fetchone()
        return None if last is None else int(last)


class Rows:
    """The outputs of one raw partition, in the order of its offsets."""

    def __init__(self, rows: Iterator[Found]) -> None:
        self._rows = rows
        self._head = next(rows, None)

    def before(self, offset: int) -> list[Found]:
        """Those of earlier offsets that nobody has taken."""
        taken = []
        while self._head is not None and self._head.offset < offset:
            taken.append(self._head)
            self._head = next(self._rows, None)
        return taken

    def of(self, offset: int) -> list[Found]:
        """Those of this offset."""
        taken = []
        while self._head is not None and self._head.offset == offset:
            taken.append(self._head)
            self._head = next(self._rows, None)
        return taken

    def rest(self) -> Iterator[Found]:
        """All that are left."""
        if self._head is not None:
            yield self._head
            yield from self._rows
