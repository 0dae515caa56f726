"""Files and standard input → lines, in memory that grows neither with the file nor with a line.

`.gz` and `.zst` are unpacked by suffix. What is no text at all (an executable, a packed stream)
is refused before anything is read from it as events. A byte-order mark at the start of a file is no
part of its first line.
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
from pipeline.files.compression import DAMAGED, GZIP, WindowError, binary, may_be_binary, unpacked

STDIN: Final = "-"
CHUNK: Final = 262_144
LONGEST_LINE: Final = 16 * 1024 * 1024
"""In bytes, without its end. Records of Kafka are far shorter, also when they are archived."""
_START: Final = 4096
_CR: Final = b"\r"


class Line(NamedTuple):
    r"""One line without its end (`\n` or `\r\n`)."""

    number: int
    """From 1; blank lines count."""
    text: bytes


class TooLong(NamedTuple):
    """A line that is longer than LONGEST_LINE."""

    number: int
    unread: OversizedValue

    @property
    def why(self) -> str:
        """What is wrong with it, for whoever can't leave it to the rules."""
        return f"has {self.unread.size:,} bytes, and a line may have {self.unread.most:,}"


class _Pieces:
    """What is read piece by piece; of what is too long only that which tells it is kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = 0
        self._start = b""
        self._hash = hashlib.sha256()

    def __bool__(self) -> bool:
        return self._size > 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._size += len(piece)
        self._kept += piece
        if self._size > LONGEST_LINE + len(_CR):
            self._start = self._start or bytes(self._kept[:_START])
            # The last byte may be part of the line's end.
            self._hash.update(self._kept[:-1])
            del self._kept[:-1]

    def value(self, end: bytes = b"") -> bytes:
        """All of it but what may be its end; Unread when that is too long."""
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
        self._stream = unpacked(name, file)
        self._began = False
        self.line_number = 0
        """Of the last line that was complete."""

    @property
    def position(self) -> int:
        """Bytes read so far, before unpacking; 0 where that is not known."""
        try:
            return self._file.tell()
        except OSError:
            return 0

    def chunks(self) -> Iterator[bytes]:
        """The unpacked bytes as they come; raises the two errors of this module."""
        if first := self._first():
            yield first
        while chunk := self._read():
            yield chunk

    def lines(self) -> Iterator[list[Line | TooLong]]:
        """The lines of one chunk after the other, so that a live pipe is followed as it comes."""
        pieces = _Pieces()
        for chunk in self.chunks():
            first, *others = chunk.split(b"\n")
            pieces.add(first)
            lines: list[Line | TooLong] = []
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
        """All of it as one value; Unread when it is longer than a line may be."""
        pieces = _Pieces()
        for chunk in self.chunks():
            pieces.add(chunk)
        return pieces.value()

    def _first(self) -> bytes:
        """The first bytes: enough of them to tell what they begin with, also from a slow pipe."""
        start = b""
        while may_be_binary(start) and (chunk := self._read()):
            start += chunk
        if what := binary(start, self.name):
            shown = "standard input" if self.name == STDIN else self.name
            message = f"{shown}: is {what}; expected JSON text"
            raise UnusableFileError(message)
        self._began = True
        return start.removeprefix(BYTE_ORDER_MARK)

    def _line(self, text: bytes) -> Line | TooLong:
        self.line_number += 1
        if isinstance(text, OversizedValue):
            return TooLong(self.line_number, text)
        return Line(self.line_number, text)

    def _read(self) -> bytes:
        try:
            return self._stream.read1(CHUNK)
        except EOFError as error:
            raise self._broken("ends in the middle: it was cut off") from error
        except WindowError as error:
            message = f"{self.name}: {error}"
            if not self._began:
                raise UnusableFileError(message) from error
            raise self._broken(str(error)) from error
        except DAMAGED as error:
            cause = " ".join(str(error).split())
            if not self._began:
                kind = "gzip" if self.name.endswith(GZIP) else "zstd"
                message = f"{self.name}: is no {kind} data, though its name says so ({cause})"
                raise UnusableFileError(message) from error
            raise self._broken(f"is damaged ({cause})") from error
        except OSError as error:
            raise self._broken(f"can't be read further ({error.strerror or error})") from error

    def _broken(self, what: str) -> BrokenInputError:
        return BrokenInputError(
            f"{self.name}: {what}; its first {self.line_number} lines were processed, "
            "nothing after them"
        )


def refuse_unusable(names: list[str]) -> None:
    """Raise UnusableFileError when a file is missing, unreadable, a directory or binary.

    Called for all inputs before the first is processed. Pipes are only checked when it is their
    turn, since what is read from them is gone.
    """
    for name in names:
        if name == STDIN or _is_pipe(name):
            continue
        with open_input(name) as source:
            if source.size is not None:
                next(iter(source.input.chunks()), b"")


def _is_pipe(name: str) -> bool:
    """Whether it is a named pipe: to open it and close it again would end whoever writes to it."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)  # noqa: PTH116  a name may be no Path
    except (OSError, ValueError):
        return False


class Opened(NamedTuple):
    """An input and, of a regular file, its size in bytes before unpacking."""

    input: Input
    size: int | None


@contextmanager
def open_input(name: str, called: str | None = None) -> Iterator[Opened]:
    """Open a file, or standard input when the name is `-`.

    `called` is how its lines and errors name it (None: by its name, as text).
    """
    if name == STDIN:
        if sys.stdin is None:
            message = "standard input is closed"
            raise UnusableFileError(message)
        yield Opened(Input(STDIN, sys.stdin.buffer), size_of(sys.stdin.buffer))
        return
    shown = printable(name) if called is None else called
    try:
        file = open(name, "rb")  # noqa: SIM115, PTH123  closed below; a name may be no Path
    except OSError as error:
        message = f"{shown}: can't be read: {error.strerror}"
        raise UnusableFileError(message) from error
    with file:
        yield Opened(Input(shown, file), size_of(file))


def size_of(file: IO[bytes]) -> int | None:
    """Size in bytes of a regular file; None of pipes and the like."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def printable(name: str) -> str:
    """A file name as text: bytes of it that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
