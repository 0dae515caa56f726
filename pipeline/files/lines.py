"""Reads lines of files and standard input in bounded memory, however long the file or a line is.

`.gz` and `.zst` files are decompressed by suffix. A file that is not text (an executable, another
compression) is rejected before events are read from it. A byte-order mark at the start of a file
is not part of its first line.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from pipeline.core.decode import BYTE_ORDER_MARK
from pipeline.core.record import OversizedValue
from pipeline.errors import BrokenInputError, UnusableFileError
from pipeline.files.compression import (
    DAMAGED,
    GZIP,
    WindowError,
    binary_kind,
    decompressed,
    may_be_binary,
)

STDIN: Final = "-"
CHUNK: Final = 262_144
LONGEST_LINE: Final = 16 * 1024 * 1024
"""Maximum length of a line in bytes, without its line end. Records of Kafka are far shorter, also
when they are archived."""
_START: Final = 4096
_CR: Final = b"\r"


class Line(NamedTuple):
    r"""One line without its line end (`\n` or `\r\n`)."""

    number: int
    """Line number from 1. Blank lines count."""
    text: bytes


class TooLongLine(NamedTuple):
    """A line that is longer than LONGEST_LINE."""

    number: int
    value: OversizedValue

    @property
    def problem(self) -> str:
        """The problem as a clause, for callers that can't leave it to the rules."""
        return f"has {self.value.size:,} bytes, and a line may have {self.value.limit:,}"


class _Pieces:
    """A value that is read piece by piece. Once it is too long, only what identifies it is kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = 0
        self._start = b""
        self._hash = hashlib.sha256()

    def __bool__(self) -> bool:
        return self._size > 0

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self._size += len(piece)
        self._kept += piece
        if self._size > LONGEST_LINE + len(_CR):
            self._start = self._start or bytes(self._kept[:_START])
            # The last byte may be part of the line end.
            self._hash.update(self._kept[:-1])
            del self._kept[:-1]

    def value(self, end: bytes = b"") -> bytes:
        """The whole value without a line end; an OversizedValue when it is too long."""
        text = bytes(self._kept).removesuffix(end)
        if not self._start and len(text) <= LONGEST_LINE:
            return text
        self._hash.update(text)
        size = self._size - len(self._kept) + len(text)
        return OversizedValue(
            size, LONGEST_LINE, self._hash.hexdigest(), self._start or text[:_START]
        )


class Input:
    """An open file or standard input."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._stream = decompressed(name, file)
        self._began = False
        self.line_number = 0
        """Number of the last complete line."""

    @property
    def position(self) -> int:
        """Bytes read so far, before decompression; 0 when that is unknown."""
        try:
            return self._file.tell()
        except OSError:
            return 0

    def chunks(self) -> Iterator[bytes]:
        """The decompressed bytes as they arrive; UnusableFileError or BrokenInputError."""
        if first := self._first():
            yield first
        while chunk := self._read():
            yield chunk

    def lines(self) -> Iterator[list[Line | TooLongLine]]:
        """The lines of each chunk, so that a pipe can be followed while it is written."""
        pieces = _Pieces()
        for chunk in self.chunks():
            first, *others = chunk.split(b"\n")
            pieces.add(first)
            lines: list[Line | TooLongLine] = []
            if others:
                *complete, rest = others
                lines = [self._line(pieces.value(_CR))]
                lines += [self._line(text.removesuffix(_CR)) for text in complete]
                pieces = _Pieces()
                pieces.add(rest)
            yield lines
        if pieces:
            yield [self._line(pieces.value(_CR))]

    def document(self) -> bytes:
        """The whole input as one value; an OversizedValue when it is longer than a line may be."""
        pieces = _Pieces()
        for chunk in self.chunks():
            pieces.add(chunk)
        return pieces.value()

    def _first(self) -> bytes:
        """The first bytes, enough of them to recognise binary data even from a slow pipe."""
        start = b""
        while may_be_binary(start) and (chunk := self._read()):
            start += chunk
        if what := binary_kind(start, self.name):
            shown = "standard input" if self.name == STDIN else self.name
            message = f"{shown}: is {what}; expected JSON text"
            raise UnusableFileError(message)
        self._began = True
        return start.removeprefix(BYTE_ORDER_MARK)

    def _line(self, text: bytes) -> Line | TooLongLine:
        self.line_number += 1
        if isinstance(text, OversizedValue):
            return TooLongLine(self.line_number, text)
        return Line(self.line_number, text)

    def _read(self) -> bytes:
        try:
            return self._stream.read1(CHUNK)
        except EOFError as error:
            raise self._broken("is truncated") from error
        except WindowError as error:
            message = f"{self.name}: {error}"
            if not self._began:
                raise UnusableFileError(message) from error
            raise self._broken(str(error)) from error
        except DAMAGED as error:
            cause = " ".join(str(error).split())
            if not self._began:
                kind = "gzip" if self.name.endswith(GZIP) else "zstd"
                message = f"{self.name}: is not {kind} data, although its name says so ({cause})"
                raise UnusableFileError(message) from error
            raise self._broken(f"is damaged ({cause})") from error
        except OSError as error:
            raise self._broken(f"can't be read any further ({error.strerror or error})") from error

    def _broken(self, what: str) -> BrokenInputError:
        return BrokenInputError(
            f"{self.name}: {what}; its first {self.line_number} lines were processed, "
            "nothing after that"
        )


def check_inputs(names: list[str]) -> None:
    """Raise UnusableFileError when a file is missing, unreadable, a directory or binary.

    To be called for all inputs before the first one is processed. Pipes are only checked when they
    are processed, since they can be read only once.
    """
    for name in names:
        if name == STDIN or _is_pipe(name):
            continue
        with open_input(name) as source:
            if source.size is not None:
                next(iter(source.input.chunks()), b"")


def _is_pipe(name: str) -> bool:
    """Whether it is a named pipe. Opening and closing it would end the process writing to it."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)  # noqa: PTH116  a name may not be a Path
    except (OSError, ValueError):
        return False


class OpenedInput(NamedTuple):
    """An input, with the size in bytes before decompression when it is a regular file."""

    input: Input
    size: int | None


@contextmanager
def open_input(name: str, called: str | None = None) -> Iterator[OpenedInput]:
    """Open a file, or standard input when the name is `-`.

    `called` is the name in coordinates and errors; None: the name itself, as text.
    """
    if name == STDIN:
        if sys.stdin is None:
            message = "standard input is closed"
            raise UnusableFileError(message)
        yield OpenedInput(Input(STDIN, sys.stdin.buffer), size_of(sys.stdin.buffer))
        return
    shown = printable(name) if called is None else called
    try:
        file = open(name, "rb")  # noqa: SIM115, PTH123  closed below; a name may not be a Path
    except OSError as error:
        message = f"{shown}: can't be read: {error.strerror}"
        raise UnusableFileError(message) from error
    with file:
        yield OpenedInput(Input(shown, file), size_of(file))


def size_of(file: IO[bytes]) -> int | None:
    """Size in bytes of a regular file; None for pipes and the like."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def printable(name: str) -> str:
    """A file name as text. Bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
