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
from pipeline.reconcile.compare.classify import Kind
from pipeline.reconcile.spill import CACHE_KIB, SavedSpill, Spill, insert

_PAGE: Final = 500


class Verdict(NamedTuple):
    """What is to be said of one event."""

    topic: str
    partition: int
    offset: int
    item: int
    """These four are its `Source`."""
    kind: str
    reason: str
    """Of a refusal, then or now: the code of the first violation; `then → now` of another one."""
    raw_partition: int
    raw_offset: int
    """Of the raw record that gives it: its source, unless that was sent again to the raw topic."""
    role: str
    """Of what is there; empty when nothing is."""
    out_partition: int
    out_offset: int
    """Where that stands."""
    after: bytes | None = None
    """The result, packed, where it is looked at again."""
    cash: str | None = None
    """The result's revenue, as `audit.money` reads it."""

    @property
    def source(self) -> Source:
        """Whose it is."""
        return Source(self.topic, self.partition, self.offset, self.item)


_COLUMNS: Final = ", ".join(Verdict._fields)
_SOURCE: Final = "topic, partition, offset, item"
_SCHEMA: Final = f"""
CREATE TABLE verdict ({_COLUMNS}, PRIMARY KEY ({_SOURCE}));
CREATE INDEX by_place ON verdict (role, out_partition, out_offset) WHERE kind != 'identical';
"""
_pack = zstandard.ZstdCompressor(level=1).compress
_unpack = zstandard.ZstdDecompressor().decompress


class Contents(NamedTuple):
    """What of an output is written to a topic."""

    value: bytes | None
    key: bytes | None
    headers: Headers


def pack(output: Output) -> bytes:
    """An output's contents in few bytes."""
    return _pack(msgspec.msgpack.encode((output.value, output.key, list(output.headers))))


def unpack(packed: bytes) -> Contents:
    """What was packed."""
    value, key, headers = msgspec.msgpack.decode(_unpack(packed))
    return Contents(value, key, [(name, sent) for name, sent in headers])


class Verdicts(Spill):
    """Verdicts by source; a later one takes an earlier one's place. See `Spill`."""

    def __init__(
        self, folder: Path | None = None, cache_kib: int = CACHE_KIB, *, shared: bool = False
    ) -> None:
        super().__init__(_SCHEMA, folder, cache_kib, shared=shared)

    def put(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts."""
        self._database.executemany(insert("verdict", len(Verdict._fields)), verdicts)

    def of(self, source: Source) -> Verdict | None:
        """The verdict on one event; None when there is none, as of identical ones."""
        return _one(self._database, source)

    def forget(self, sources: Iterable[Source]) -> None:
        """Remove verdicts."""
        query = f"DELETE FROM verdict WHERE ({_SOURCE}) = (?, ?, ?, ?)"  # noqa: S608  names of ours
        self._database.executemany(query, sources)

    def counts(self) -> Counter[tuple[str, str]]:
        """(kind, reason) → events."""
        query = "SELECT kind, reason, count(*) FROM verdict GROUP BY kind, reason"
        rows = self._database.execute(query)
        return Counter({(kind, reason): number for kind, reason, number in rows})

    def first(self, kind: Kind, reason: str, most: int) -> list[Verdict]:
        """The first few of a kind and reason, by source."""
        which = "kind = ? AND reason = ?"
        query = f"SELECT {_COLUMNS} FROM verdict WHERE {which} ORDER BY {_SOURCE} LIMIT ?"  # noqa: S608
        rows = self._database.execute(query, (kind.value, reason, most))
        return [Verdict._make(row) for row in rows]

    def all_of(self, kind: Kind) -> Iterator[Verdict]:
        """All of a kind, by source."""
        query = f"SELECT {_COLUMNS} FROM verdict WHERE kind = ? ORDER BY {_SOURCE}"  # noqa: S608
        yield from map(Verdict._make, self._database.execute(query, (kind.value,)))

    def extents(self, kinds: Iterable[Kind]) -> dict[int, tuple[int, int]]:
        """Output partition → the first offset of an enriched event of these kinds, and behind."""
        query = (
            "SELECT out_partition, min(out_offset), max(out_offset) + 1 FROM verdict "  # noqa: S608
            f"WHERE role = ? AND kind IN ({_listed(kinds)}) GROUP BY out_partition"
        )
        rows = self._database.execute(query, (Role.ENRICHED.value,))
        return {partition: (first, end) for partition, first, end in rows}

    def at(self, kinds: Iterable[Kind], out_partition: int) -> Iterator[Verdict]:
        """Those of an output partition, in its order; others may be forgotten meanwhile."""
        query = (
            f"SELECT {_COLUMNS} FROM verdict WHERE role = ? AND out_partition = ? "  # noqa: S608
            f"AND out_offset > ? AND kind IN ({_listed(kinds)}) AND kind != 'identical' "
            "ORDER BY out_offset LIMIT ?"
        )
        last = -1
        while page := self._database.execute(
            query, (Role.ENRICHED.value, out_partition, last, _PAGE)
        ).fetchall():
            for row in page:
                verdict = Verdict._make(row)
                last = verdict.out_offset
                yield verdict


class SavedVerdicts(SavedSpill):
    """Verdicts that were saved. See `SavedSpill`."""

    def of(self, source: Source) -> Verdict | None:
        """See `Verdicts`."""
        return _one(self._database, source)


def _one(database: sqlite3.Connection, source: Source) -> Verdict | None:
    query = f"SELECT {_COLUMNS} FROM verdict WHERE ({_SOURCE}) = (?, ?, ?, ?)"  # noqa: S608
    row: tuple[Any, ...] | None = database.execute(query, source).fetchone()
    return None if row is None else Verdict._make(row)


def _listed(kinds: Iterable[Kind]) -> str:
    return ", ".join(f"'{kind.value}'" for kind in kinds)


def raw_place(record: Record) -> tuple[int, int]:
    """Partition and offset, as a verdict names its raw record."""
    return record.partition, record.offset
