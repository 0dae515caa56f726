"""The file of an import, which is read twice: for the plan, and to send its dead letters."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, Final

from pipeline.errors import UnusableFileError
from pipeline.files.lines import CHUNK, STDIN, Input, printable, size_of

_HASH_DIGITS: Final = 12


class ImportFile:
    """A file that can be read again from its beginning; it is never in memory as a whole."""

    def __init__(self, name: str, file: IO[bytes], digest: str) -> None:
        self.name = name
        self.digest = digest
        """First digits of the SHA-256 of its bytes."""
        self._file = file
        self._state = _state(file)

    def input(self) -> Input:
        """All of it, once more; UnusableFileError when it was written to in the meantime."""
        if _state(self._file) != self._state:
            raise UnusableFileError(
                f"{self.name}: was written to since the plan was made: import it again"
            )
        self._file.seek(0)
        return Input(self.name, self._file)


@contextmanager
def open_import(name: str) -> Iterator[ImportFile]:
    """Open a file, a pipe, or standard input (`-`).

    What can be read only once is copied to a temporary file first. UnusableFileError when it can't
    be opened, OSError when it can't be read or copied.
    """
    if name == STDIN and sys.stdin is None:
        raise UnusableFileError("standard input is closed")
    shown = "standard input" if name == STDIN else printable(name)
    try:
        # By its name, as everywhere: a name may be no text. Standard input stays open.
        opened = nullcontext(sys.stdin.buffer) if name == STDIN else open(name, "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise UnusableFileError(f"{shown}: can't be read: {error.strerror}") from error
    with opened as file:
        if size_of(file) is not None and name != STDIN:
            yield ImportFile(shown, file, _digest(file, None))
            return
        with tempfile.TemporaryFile(prefix="track-pipeline-") as copy:
            digest = _digest(file, copy)
            yield ImportFile(shown, copy, digest)


def _digest(file: IO[bytes], copy: IO[bytes] | None) -> str:
    """The digest of a file, read to its end, and copied on the way."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        if copy is not None:
            try:
                copy.write(chunk)
                copy.flush()
            except OSError as error:
                where = tempfile.gettempdir()
                text = f"{error.strerror}; what is read from a pipe is kept there (TMPDIR)"
                raise OSError(error.errno, text, where) from error
    return digest.hexdigest()[:_HASH_DIGITS]


def _state(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
