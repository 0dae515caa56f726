"""The differences that a comparison has found, in a temporary SQLite file."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import zstandard

from pipeline.core.coordinates import Source
from pipeline.core.record import Headers, Output, Record, Role
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.reconcile.spill import CACHE_KIB, SavedSpill, Spill, insert

_PAGE: Final = 500


class EventDifference(NamedTuple):
    """How the result of one event differs from its existing output."""

    topic: str
    partition: int
    offset: int
    item: int
    """Topic, partition, offset and item are the `Source` of the event."""
    kind: str
    reason: str
    """Code of the first violation, before or now; `before → now` when both were rejected."""
    raw_partition: int
    raw_offset: int
    """Coordinates of the raw record: its source, or a copy that was sent to the raw topic again."""
    role: str
    """Role of the existing output; empty when there is none."""
    out_partition: int
    out_offset: int
    """Partition and offset of the existing output."""
    after: bytes | None = None
    """Packed contents of the result, when they are needed again."""
    revenue: str | None = None
    """Revenue of the result, as `RevenueReader` writes it."""

    @property
    def source(self) -> Source:
        """Coordinates of the raw event."""
        return Source(self.topic, self.partition, self.offset, self.item)


_COLUMNS: Final = ", ".join(EventDifference._fields)
_SOURCE: Final = "topic, partition, offset, item"
_DIFFERS: Final = f"kind != '{DifferenceKind.IDENTICAL.value}'"
"""Condition of the index `by_output`; SQLite uses the index only for queries that repeat it."""
_SCHEMA: Final = f"""
CREATE TABLE difference ({_COLUMNS}, PRIMARY KEY ({_SOURCE}));
CREATE INDEX by_output ON difference (role, out_partition, out_offset) WHERE {_DIFFERS};
"""
_pack = zstandard.ZstdCompressor(level=1).compress
_unpack = zstandard.ZstdDecompressor().decompress


class Contents(NamedTuple):
    """The part of an output that is written to a topic."""

    value: bytes | None
    key: bytes | None
    headers: Headers


def pack(output: Output) -> bytes:
    """Compress the contents of an output."""
    return _pack(msgspec.msgpack.encode((output.value, output.key, list(output.headers))))


def unpack(packed: bytes) -> Contents:
    """Restore packed contents."""
    value, key, headers = msgspec.msgpack.decode(_unpack(packed))
    return Contents(value, key, [(name, sent) for name, sent in headers])


class DifferenceStore(Spill):
    """Differences by source; a later one replaces an earlier one. See `Spill`."""

    def __init__(
        self, folder: Path | None = None, cache_kib: int = CACHE_KIB, *, shared: bool = False
    ) -> None:
        super().__init__(_SCHEMA, folder, cache_kib, shared=shared)

    def put(self, differences: Iterable[EventDifference]) -> None:
        """Add differences."""
        self._database.executemany(insert("difference", len(EventDifference._fields)), differences)

    def find(self, source: Source) -> EventDifference | None:
        """Return the difference of one event; None when it has none."""
        return _find(self._database, source)

    def remove(self, sources: Iterable[Source]) -> None:
        """Remove differences."""
        query = f"DELETE FROM difference WHERE ({_SOURCE}) = (?, ?, ?, ?)"  # noqa: S608  names of ours
        self._database.executemany(query, sources)

    def counts(self) -> Counter[tuple[str, str]]:
        """Count the events of each (kind, reason)."""
        # SQLite would sort all rows to group them.
        return Counter(self._database.execute("SELECT kind, reason FROM difference"))

    def first(self, kind: DifferenceKind, reason: str, limit: int) -> list[EventDifference]:
        """Return the first few of a kind and reason, by source."""
        which = "kind = ? AND reason = ?"
        query = f"SELECT {_COLUMNS} FROM difference WHERE {which} ORDER BY {_SOURCE} LIMIT ?"  # noqa: S608
        rows = self._database.execute(query, (kind.value, reason, limit))
        return [EventDifference._make(row) for row in rows]

    def all_of(self, kind: DifferenceKind) -> Iterator[EventDifference]:
        """Yield all of a kind, by source."""
        query = f"SELECT {_COLUMNS} FROM difference WHERE kind = ? ORDER BY {_SOURCE}"  # noqa: S608
        yield from map(EventDifference._make, self._database.execute(query, (kind.value,)))

    def extents(self, kinds: Iterable[DifferenceKind]) -> dict[int, tuple[int, int]]:
        """Map output partitions to the offsets between which enriched events of these kinds are."""
        query = (
            "SELECT out_partition, min(out_offset), max(out_offset) + 1 FROM difference "  # noqa: S608
            f"WHERE role = ? AND kind IN ({_listed(kinds)}) AND {_DIFFERS} GROUP BY out_partition"
        )
        rows = self._database.execute(query, (Role.ENRICHED.value,))
        return {partition: (first, end) for partition, first, end in rows}

    def at(self, kinds: Iterable[DifferenceKind], out_partition: int) -> Iterator[EventDifference]:
        """Yield those of an output partition, in its order; others may be removed meanwhile."""
        query = (
            f"SELECT {_COLUMNS} FROM difference WHERE role = ? AND out_partition = ? "  # noqa: S608
            f"AND out_offset > ? AND kind IN ({_listed(kinds)}) AND {_DIFFERS} "
            "ORDER BY out_offset LIMIT ?"
        )
        last = -1
        while page := self._database.execute(
            query, (Role.ENRICHED.value, out_partition, last, _PAGE)
        ).fetchall():
            for row in page:
                difference = EventDifference._make(row)
                last = difference.out_offset
                yield difference


class SavedDifferences(SavedSpill):
    """Differences that a `DifferenceStore` has saved. See `SavedSpill`."""

    def find(self, source: Source) -> EventDifference | None:
        """Return the difference of one event; None when it has none."""
        return _find(self._database, source)


def _find(database: sqlite3.Connection, source: Source) -> EventDifference | None:
    query = f"SELECT {_COLUMNS} FROM difference WHERE ({_SOURCE}) = (?, ?, ?, ?)"  # noqa: S608
    row: tuple[Any, ...] | None = database.execute(query, source).fetchone()
    return None if row is None else EventDifference._make(row)


def _listed(kinds: Iterable[DifferenceKind]) -> str:
    return ", ".join(f"'{kind.value}'" for kind in kinds)


def raw_place(record: Record) -> tuple[int, int]:
    """Return partition and offset, as a difference names its raw record."""
    return record.partition, record.offset
