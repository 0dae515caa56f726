"""A set of byte strings in a temporary file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.reconcile.spill import CACHE_KIB, Spill

_SCHEMA: Final = "CREATE TABLE member (name BLOB PRIMARY KEY) WITHOUT ROWID;"
_FIND: Final = "SELECT 1 FROM member WHERE name = ?"
_INSERT: Final = "INSERT OR IGNORE INTO member VALUES (?)"


class DiskSet(Spill):
    """A set of names that may be larger than memory. See `Spill`."""

    def __init__(self, folder: Path | None = None, cache_kib: int = CACHE_KIB) -> None:
        super().__init__(_SCHEMA, folder, cache_kib)
        self._insert = self._database.cursor()

    def is_new(self, name: bytes) -> bool:
        """Add a name, and return whether it was absent before."""
        return self._insert.execute(_INSERT, (name,)).rowcount > 0

    def __contains__(self, name: bytes) -> bool:
        return self._database.execute(_FIND, (name,)).fetchone() is not None
