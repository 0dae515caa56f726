"""Files and standard input → lines, in memory that does not grow with the file.

`.gz` and `.zst` are unpacked by suffix. What is no text at all (an executable, a packed stream)
is refused before anything is read from it as events. A byte-order mark at the start of a file is no
part of its first line.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, NamedTuple, Protocol, cast

import zstandard

from pipeline.core.decode import BYTE_ORDER_MARK

STDIN: Final = "-"
GZIP: Final = ".gz"
ZSTD: Final = ".zst"
CHUNK: Final = 262_144
_PROBE: Final = 8192
_ZSTD_FEED: Final = 256
"""A block of 4 bytes unpacks to 128 KiB at most, so this many bytes give at most 8 MiB."""

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip data; unpack it first, or name it in a file that ends in .gz"),
    (b"\x28\xb5\x2f\xfd", "zstd data; unpack it first, or name it in a file that ends in .zst"),
    (b"BZh", "bzip2 data; unpack it first"),
    (b"\xfd7zXZ\x00", "xz data; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"PAR1", "a Parquet file; convert it to one JSON event per line"),
    (b"Obj\x01", "an Avro file; convert it to one JSON event per line"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xfe", "UTF-16 text; convert it to UTF-8 first"),
    (b"\xfe\xff", "UTF-16 text; convert it to UTF-8 first"),
)
_MARKS: Final = (BYTE_ORDER_MARK, *(magic for magic, _ in _MAGIC))


class UnusableFileError(Exception):
    """A file that can't be used at all; nothing was read from it or written to it."""


class BrokenInputError(Exception):
    """An input that failed after some of it was read."""


class _Stream(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class Line(NamedTuple):
    r"""One line without its end (`\n` or `\r\n`)."""

    number: int
    """From 1; blank lines count."""
    text: bytes


class Input:
    """An open file or standard input."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._stream = _unpacked(name, file)
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

    def lines(self) -> Iterator[list[Line]]:
        """The lines of one chunk after the other, so that a live pipe is followed as it comes."""
        pieces: list[bytes] = []
        for chunk in self.chunks():
            *complete, rest = chunk.split(b"\n")
            if complete:
                complete[0] = b"".join((*pieces, complete[0]))
                pieces = []
            if rest:
                pieces.append(rest)
            yield [self._line(text) for text in complete]
        if pieces:
            yield [self._line(b"".join(pieces))]

    def _first(self) -> bytes:
        """The first bytes: enough of them to tell what they begin with, also from a slow pipe."""
        start = b""
        while any(mark.startswith(start) for mark in _MARKS) and (chunk := self._read()):
            start += chunk
        _refuse_binary(self.name, start)
        self._began = True
        return start.removeprefix(BYTE_ORDER_MARK)

    def _line(self, text: bytes) -> Line:
        self.line_number += 1
        return Line(self.line_number, text.removesuffix(b"\r"))

    def _read(self) -> bytes:
        try:
            return self._stream.read1(CHUNK)
        except EOFError as error:
            raise self._broken("ends in the middle: it was cut off") from error
        except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
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
        if name == STDIN:
            continue
        with open_input(name) as source:
            if source.size is not None:
                next(iter(source.input.chunks()), b"")


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


def _refuse_binary(name: str, chunk: bytes) -> None:
    shown = "standard input" if name == STDIN else name
    for magic, what in _MAGIC:
        if chunk.startswith(magic):
            message = f"{shown}: is {what}; expected JSON text"
            raise UnusableFileError(message)
    # JSON text has no NUL; events that are damaged by one further down become dead letters.
    if b"\0" in chunk[:_PROBE].partition(b"\n")[0]:
        message = f"{shown}: is binary, not text; expected JSON text"
        raise UnusableFileError(message)


def _unpacked(name: str, file: IO[bytes]) -> _Stream:
    if name.endswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if name.endswith(ZSTD):
        return _Zstd(file)
    return cast("_Stream", file)  # every binary file of Python's has read1


class _Zstd:
    """Frames of zstd, one after the other; unlike the library's reader it notices a cut-off."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._packed = b""
        self._text = memoryview(b"")

    def read1(self, size: int, /) -> bytes:
        """The next unpacked bytes; raises EOFError when the last frame is incomplete."""
        while not self._text:
            self._packed = self._packed or self._file.read(_ZSTD_FEED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError
                return b""
            self._unpack()
        taken, self._text = bytes(self._text[:size]), self._text[size:]
        return taken

    def _unpack(self) -> None:
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._text = memoryview(self._frame.decompress(self._packed))
        self._packed = b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None
