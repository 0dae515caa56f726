"""Files that a command writes: what exists is never lost by it.

An output is refused, before anything is opened, when it is also an input of the same command or
the place where standard output goes, whatever name it is given by. A file that has anything in it
is replaced only on request.
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
"""As far as the umask allows: what `open` gives a new file."""
_NAME_BYTES: Final = 4
_LONGEST_NAME: Final = 255
"""Bytes that common file systems take for the name of a file."""


class FileOutput(NamedTuple):
    """A file to be written, as it was asked for."""

    option: str
    """That names it, such as `--output`."""
    name: str
    inputs: tuple[str, ...] = ()
    """Files that the command reads; `-` is standard input."""
    overwrite: bool = False
    """Whether a file that has anything in it may be replaced."""

    def problem(self, what: str) -> UnusableFileError:
        """The sentence that says what is wrong with it."""
        return UnusableFileError(f"{self.option} {printable(self.name)}: {what}")


def refuse_output(output: FileOutput) -> None:
    """Raise UnusableFileError when writing the file would cost something; nothing is opened."""
    if output.name == _STANDARD:
        raise output.problem("is standard output, which has other contents: name a file")
    there = _status(output.name)
    if there is None:
        _refuse_folder(output)
        return
    if any(_is_same(there, _of_input(name)) for name in output.inputs):
        raise output.problem("is also an input, which would be overwritten")
    for stream, called in _standard_outputs():
        if _is_same(there, stream):
            raise output.problem(f"{called} goes there, too: name another file")
    if stat.S_ISREG(there.st_mode) and there.st_size and not output.overwrite:
        raise output.problem("exists already: name another file, or say --overwrite")


def _refuse_folder(output: FileOutput) -> None:
    folder = os.path.dirname(os.path.realpath(output.name))  # noqa: PTH120  a name may be no Path
    try:
        os.stat(os.path.join(folder, ""))  # noqa: PTH116, PTH118  as above
    except OSError as error:
        raise output.problem(f"can't be written: {error.strerror}") from error


def refuse_redirection(inputs: Iterable[str]) -> None:
    """Raise UnusableFileError when standard output goes into a file that is read.

    A command would read its own output, for ever, or the shell has emptied the file already.
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
    """The file, opened, for what is to be seen as it comes; UnusableFileError."""
    refuse_output(output)
    try:
        there = _status(output.name)
        # A file that appears in this moment is not replaced.
        path = output.name if there is not None else os.path.realpath(output.name)
        return open(path, "xb" if there is None else "wb")  # noqa: PTH123  a name may be no Path
    except OSError as error:
        raise output.problem(f"can't be written: {error.strerror}") from error


@contextmanager
def whole_output(output: FileOutput) -> Iterator[IO[bytes]]:
    """A file that appears under its name when the block has ended well, and otherwise not at all.

    Until then it has another name, in the same folder. UnusableFileError.
    """
    refuse_output(output)
    there = _status(output.name)
    if there is not None and not stat.S_ISREG(there.st_mode):
        with opened_output(output) as file:
            yield file
        return
    path = os.path.realpath(output.name)
    partial = _partial_name(path)
    try:
        with _created(output, partial) as file:
            if there is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
            yield file
        refuse_output(output)
        os.replace(partial, path)  # noqa: PTH105  a name may be no Path
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
        return os.stat(name)  # noqa: PTH116  a name may be no Path
    except (OSError, ValueError):
        return None


def _of_input(name: str) -> os.stat_result | None:
    return _of_stream(sys.stdin) if name == STDIN else _status(name)


def _standard_outputs() -> Iterator[tuple[os.stat_result | None, str]]:
    yield _of_stream(sys.stdout), "standard output"
    yield _of_stream(sys.stderr), "standard error"


def _of_stream(stream: IO[str] | None) -> os.stat_result | None:
    """None of a stream that is closed, or no file of the system's."""
    try:
        return None if stream is None else os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether both are one file that keeps what is written to it; not so devices and pipes."""
    keeps = stat.S_ISREG(one.st_mode) or stat.S_ISBLK(one.st_mode)
    return keeps and other is not None and os.path.samestat(one, other)
