"""Tables in a temporary SQLite file: as many rows as there are, in little memory.

SQLite keeps pages in a cache of fixed size and writes to the file only what does not fit in it.
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
"""Nothing survives the process, so nothing is made durable. No file but our own is made: statements
read in the order of an index, so none of them sorts more than a few rows."""


class Spill:
    """A database with the tables of `schema`, a script; a context manager that removes its file.

    `folder` is where the file is made (None: the system's folder for temporary files), `cache_kib`
    how much of it is kept in memory. All that is written is one transaction, until `save`. Within
    the context a disk that is full is an OSError with a sentence.

    Only a file that is `shared` has a name while it is used. Any other is gone with the process,
    however that ends.
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
        """The file, if it is shared; another process may open it once it is saved."""
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
        """Write everything to the file, for other connections."""
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
    """What a `Spill` has saved, read by any process; a context manager."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()


def insert(table: str, fields: int) -> str:
    """The statement that writes a row of so many fields; one with the same key is replaced."""
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
