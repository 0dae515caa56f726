"""Standard output and standard error, which may be closed, full, or no longer read.

Every command writes to them: directly, through click or through rich, which would each end a
broken pipe in its own way. So the streams themselves say what is wrong, once for all of them.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STANDARD_OUTPUT: Final = "standard output"
STANDARD_ERROR: Final = "standard error"
_OUT: Final = 1
_ERR: Final = 2
_LACKING_ENCODING: Final = "backslashreplace"
"""Error handler: characters that a terminal's encoding lacks are shown as escapes."""


class ReaderGoneError(OSError):
    """The reader of standard output or standard error has closed it, as `head` does.

    No BrokenPipeError, which rich would turn into exit code 1 before anybody else sees it.
    """


class _Named(io.BufferedWriter):
    """A buffered standard stream whose OSErrors name it.

    Not the raw stream below does so: where Python code runs between a write and its count, Ctrl-C
    makes the count be forgotten, and the bytes are written twice.
    """

    def __init__(self, number: int, title: str) -> None:
        super().__init__(io.FileIO(number, "wb", closefd=False))
        self._title = title

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the data."""
        with self._named_errors():
            return super().write(data)

    def flush(self) -> None:
        """Flush all buffered data."""
        with self._named_errors():
            super().flush()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            raise ReaderGoneError(error.errno, error.strerror, self._title) from error
        except OSError as error:
            what = "is closed" if error.errno == errno.EBADF else error.strerror
            raise OSError(error.errno, what, self._title) from error


def connect_streams() -> None:
    """Replace the interpreter's standard streams by streams whose errors name them.

    A closed standard error is written to nowhere: the program works without it. Writing to a
    closed standard output fails, since what a command prints is what it was called for.
    """
    # In this order each takes the number that is free, so that no file or socket of ours does.
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # noqa: FBT003  no keyword
    sys.stdout = _text(_OUT, STANDARD_OUTPUT, sys.stdout)
    sys.stderr = _text(_ERR, STANDARD_ERROR, sys.stderr)


def _text(number: int, title: str, before: TextIO | None) -> TextIO:
    """Make a stream configured like `before`, the interpreter's own; None if that was closed."""
    encoding, by_line = "utf-8", number == _ERR
    if isinstance(before, io.TextIOWrapper):
        encoding, by_line = before.encoding, before.line_buffering or before.write_through
    buffer = _Named(number, title)
    return io.TextIOWrapper(buffer, encoding, _LACKING_ENCODING, line_buffering=by_line)


def let_go_of_streams() -> None:
    """Keep the interpreter from retrying, when it exits, to write what can't be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
