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
_FAST: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
"""


class Spill:
    """A database with the tables of `schema`, a script; a context manager that removes its file.

    `folder` is where the file is made (None: the system's folder for temporary files), `cache_kib`
    how much of it is kept in memory. All that is written is one transaction, until `save`.
    """

    def __init__(self, schema: str, folder: Path | None = None, cache_kib: int = CACHE_KIB) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="track-pipeline-", dir=folder)
        self.path = Path(self._folder.name) / "rows.sqlite"
        """The file; another process may open it once it is saved."""
        self._database = sqlite3.connect(self.path, isolation_level=None, cached_statements=64)
        self._database.execute(f"PRAGMA cache_size = -{cache_kib}")
        self._database.executescript(f"{_FAST}{schema}BEGIN;")

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
def spilling() -> Iterator[None]:
    """OSError with a sentence, instead of the database's own error, when a disk is full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        message = f"the temporary file can't be written ({error}): see --spill-dir"
        raise OSError(errno.ENOSPC, message) from error
