"""Tables in a temporary SQLite file, for any number of rows in little memory.

SQLite keeps pages in a cache of fixed size, and writes to the file only what does not fit into it.
"""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CACHE_KIB: Final = 64 * 1024
_PRAGMAS: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;
"""
"""Nothing needs to be durable, because the file does not survive the process. There is no second
file for sorting, either: statements read in the order of an index and sort a few rows at most."""


class Spill:
    """A SQLite database in a temporary file, as a context manager that removes the file.

    `schema` is a script that creates the tables. `folder` holds the file, None standing for the
    system's temporary folder; `cache_kib` of the file are kept in memory. All writes are one
    transaction until `save`. Within the context a full disk is an OSError that names --spill-dir.

    Guarantees: only a `shared` file has a name while it is used. The space of any other file is
    free again when the process ends, however it ends.
    """

    def __init__(
        self,
        schema: str,
        folder: Path | None = None,
        cache_kib: int = CACHE_KIB,
        *,
        shared: bool = False,
    ) -> None:
        where = None if folder is None else folder.absolute()
        self._folder = tempfile.TemporaryDirectory(prefix="track-pipeline-", dir=where)
        self.path = Path(self._folder.name) / "rows.sqlite"
        """Path of a shared file; other processes may open it after `save`."""
        self._database = sqlite3.connect(self.path, isolation_level=None, cached_statements=64)
        try:
            with _as_sentence():
                self._database.execute(f"PRAGMA cache_size = -{cache_kib}")
                self._database.executescript(f"{_PRAGMAS}{schema}BEGIN;")
        except OSError:
            self._database.close()
            self._folder.cleanup()
            raise
        if not shared:
            self._folder.cleanup()

    def save(self) -> None:
        """Write everything to the file, so that other processes can read it."""
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
        self._folder.cleanup()
        if isinstance(error, sqlite3.OperationalError):
            raise _full(error) from error


class SavedSpill:
    """Opens the saved file of a shared `Spill` in any process, as a context manager."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()


def insert(table: str, fields: int) -> str:
    """Return the statement that writes a row, replacing one with the same key."""
    marks = ", ".join("?" * fields)
    return f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608  names of ours


@contextmanager
def _as_sentence() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _full(error) from error


def _full(error: sqlite3.OperationalError) -> OSError:
    message = f"the temporary file can't be written ({error}): see --spill-dir"
    return OSError(errno.ENOSPC, message)
