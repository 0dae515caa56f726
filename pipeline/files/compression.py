"""Packed files → their bytes, in little memory; and what files are that are no text.

`.gz` and `.zst` are unpacked by suffix.
"""

from __future__ import annotations

import gzip
import zlib
from typing import IO, Any, Final, Protocol, cast

import zstandard

from pipeline.core.decode import BYTE_ORDER_MARK

GZIP: Final = ".gz"
ZSTD: Final = ".zst"
DAMAGED: Final = (zlib.error, zstandard.ZstdError, gzip.BadGzipFile)
"""What reading raises when the bytes are not what the suffix says."""
_PROBE: Final = 8192
_FEED: Final = 256
"""A block of 4 bytes unpacks to 128 KiB at most, so this many bytes give at most 8 MiB."""
_LARGEST_WINDOW: Final = 128 * 1024 * 1024
"""The library's own limit, and that of zstd without --long; so much memory a frame may take."""
_LONGEST_HEADER: Final = 18
_MIB: Final = 1024 * 1024

_PACKED: Final = (
    (b"\x1f\x8b", "gzip data", GZIP),
    (b"\x28\xb5\x2f\xfd", "zstd data", ZSTD),
    (b"BZh", "bzip2 data", ""),
    (b"\xfd7zXZ\x00", "xz data", ""),
    (b"PK\x03\x04", "a zip archive", ""),
)
"""Their first bytes, and the suffix by which they are unpacked here, if they are."""
_BINARY: Final = (
    (b"\x7fELF", "a program"),
    (b"PAR1", "a Parquet file; convert it to one JSON event per line"),
    (b"Obj\x01", "an Avro file; convert it to one JSON event per line"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xfe", "UTF-16 text; convert it to UTF-8 first"),
    (b"\xfe\xff", "UTF-16 text; convert it to UTF-8 first"),
)
_MARKS: Final = (BYTE_ORDER_MARK, *(each[0] for each in (*_PACKED, *_BINARY)))


class Stream(Protocol):
    """What can be read."""

    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most so many; none at the end."""


class WindowError(Exception):
    """Unpacking would take more memory than a file may take; the text says what to do."""


def may_be_binary(start: bytes) -> bool:
    """Whether more bytes are needed to tell what a file is that begins with these."""
    return any(mark.startswith(start) for mark in _MARKS)


def binary(start: bytes, name: str) -> str | None:
    """What a file is that begins with these unpacked bytes; None: text."""
    for magic, what, suffix in _PACKED:
        if start.startswith(magic):
            return f"{what}{_advice(name, suffix)}"
    for magic, what in _BINARY:
        if start.startswith(magic):
            return what
    # JSON text has no NUL; events that are damaged by one further down become dead letters.
    if b"\0" in start[:_PROBE].partition(b"\n")[0]:
        return "binary, not text"
    return None


def _advice(name: str, suffix: str) -> str:
    if name.endswith((GZIP, ZSTD)):
        return " packed once more; unpack it first"
    also = f", or name it in a file that ends in {suffix}" if suffix else ""
    return f"; unpack it first{also}"


def unpacked(name: str, file: IO[bytes]) -> Stream:
    """The unpacked bytes of a file; EOFError when they end too early, DAMAGED, WindowError."""
    if name.endswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if name.endswith(ZSTD):
        return _Zstd(file)
    return cast("Stream", file)  # every binary file of Python's has read1


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
            self._packed = self._packed or self._file.read(_FEED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError
                return b""
            self._unpack()
        taken, self._text = bytes(self._text[:size]), self._text[size:]
        return taken

    def _unpack(self) -> None:
        if self._frame is None:
            if len(self._packed) < _LONGEST_HEADER:
                self._packed += self._file.read(_FEED)
            _refuse_window(self._packed)
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._text = memoryview(self._frame.decompress(self._packed))
        self._packed = b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None


def _refuse_window(frame: bytes) -> None:
    try:
        window = zstandard.get_frame_parameters(frame).window_size
    except zstandard.ZstdError:
        return  # cut off, or no frame: told when it is unpacked
    if window > _LARGEST_WINDOW:
        bits = (window - 1).bit_length()
        raise WindowError(
            f"was packed with a window of {window // _MIB} MiB, and {_LARGEST_WINDOW // _MIB} MiB "
            f"of memory are taken at most; unpack it first (zstd -d --long={bits})"
        )
