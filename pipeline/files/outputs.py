"""Files that a command writes, without losing any that exist.

An output is rejected before anything is opened when it is also an input of the same command, or the
target of standard output, under whatever name. A file that is not empty is replaced only on
request.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, NamedTuple

from pipeline.errors import UnusableFileError
from pipeline.files.lines import STDIN, printable

_STANDARD: Final = "-"
_RIGHTS: Final = 0o666
"""Permissions of a new file before the umask, as with `open`."""
_NAME_BYTES: Final = 4
_LONGEST_NAME: Final = 255
"""Bytes that common file systems take for the name of a file."""


class FileOutput(NamedTuple):
    """A file to write, as it was requested."""

    option: str
    """Option that names the file, such as `--output`."""
    name: str
    inputs: tuple[str, ...] = ()
    """Files that the command reads; `-` is standard input."""
    overwrite: bool = False
    """Whether a file that is not empty may be replaced."""

    def problem(self, what: str) -> UnusableFileError:
        """An error about this file; `what` is the rest of the sentence."""
        return UnusableFileError(f"{self.option} {printable(self.name)}: {what}")


def check_output(output: FileOutput) -> None:
    """Raise UnusableFileError when writing the file would lose data; opens nothing."""
    if output.name == _STANDARD:
        raise output.problem("is standard output, which is used for other output: name a file")
    existing = _status(output.name)
    if existing is None:
        _check_folder(output)
        return
    if any(_is_same(existing, _of_input(name)) for name in output.inputs):
        raise output.problem("is also an input, which would be overwritten")
    for stream, called in _standard_outputs():
        if _is_same(existing, stream):
            raise output.problem(f"{called} goes there, too: name another file")
    if stat.S_ISREG(existing.st_mode) and existing.st_size and not output.overwrite:
        raise output.problem("exists already: name another file, or use --overwrite")


def _check_folder(output: FileOutput) -> None:
    folder = os.path.dirname(os.path.realpath(output.name))  # noqa: PTH120  a name may not be a Path
    try:
        os.stat(os.path.join(folder, ""))  # noqa: PTH116, PTH118  as above
    except OSError as error:
        raise output.problem(f"can't be written: {error.strerror}") from error


def check_redirection(inputs: Iterable[str]) -> None:
    """Raise UnusableFileError when standard output goes into a file that is also an input.

    The command would read its own output endlessly, or the shell has truncated the file already.
    """
    for name in inputs:
        status = _of_input(name)
        for stream, called in _standard_outputs():
            if status is not None and _is_same(status, stream):
                shown = "standard input" if name == STDIN else printable(name)
                raise UnusableFileError(
                    f"{shown}: is an input, and {called} goes there, too: redirect it to another "
                    "file"
                )


def opened_output(output: FileOutput) -> IO[bytes]:
    """Open the file for output that is visible as it is written; UnusableFileError."""
    check_output(output)
    try:
        existing = _status(output.name)
        # A file that was created in the meantime is not replaced.
        path = output.name if existing is not None else os.path.realpath(output.name)
        return open(path, "xb" if existing is None else "wb")  # noqa: PTH123  a name may not be a Path
    except OSError as error:
        raise output.problem(f"can't be written: {error.strerror}") from error


@contextmanager
def whole_output(output: FileOutput) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block has ended without an error.

    Until then it has another name in the same folder. Raises UnusableFileError.
    """
    check_output(output)
    existing = _status(output.name)
    if existing is not None and not stat.S_ISREG(existing.st_mode):
        with opened_output(output) as file:
            yield file
        return
    path = os.path.realpath(output.name)
    partial = _partial_name(path)
    try:
        with _created(output, partial) as file:
            if existing is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(existing.st_mode))
            yield file
        check_output(output)
        os.replace(partial, path)  # noqa: PTH105  a name may not be a Path
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)  # noqa: PTH108  as above
        raise


def _partial_name(path: str) -> str:
    """Name the file in the same folder that becomes `path` in the end."""
    folder, name = os.path.split(path)
    ending = f".{secrets.token_hex(_NAME_BYTES)}.partial"
    shortened = os.fsdecode(os.fsencode(name)[: _LONGEST_NAME - len(ending)])
    return os.path.join(folder, shortened + ending)  # noqa: PTH118  a name may be no Path


def _created(output: FileOutput, path: str) -> IO[bytes]:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.fdopen(os.open(path, flags, _RIGHTS), "wb")
    except OSError as error:
        raise output.problem(f"can't be written: {error.strerror}") from error


def _status(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)  # noqa: PTH116  a name may not be a Path
    except (OSError, ValueError):
        return None


def _of_input(name: str) -> os.stat_result | None:
    return _of_stream(sys.stdin) if name == STDIN else _status(name)


def _standard_outputs() -> Iterator[tuple[os.stat_result | None, str]]:
    yield _of_stream(sys.stdout), "standard output"
    yield _of_stream(sys.stderr), "standard error"


def _of_stream(stream: IO[str] | None) -> os.stat_result | None:
    """Status of a stream; None when it is closed, or not a file of the system."""
    try:
        return None if stream is None else os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether both are the same file, one that keeps what is written: not a device or a pipe."""
    keeps = stat.S_ISREG(one.st_mode) or stat.S_ISBLK(one.st_mode)
    return keeps and other is not None and os.path.samestat(one, other)
