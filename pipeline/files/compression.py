"""Decompresses files in little memory, and recognises files that are not text.

`.gz` and `.zst` files are decompressed by suffix.
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
"""Errors of reading bytes that are not what the suffix says."""
_PROBE: Final = 8192
_FEED: Final = 256
"""Bytes decompressed at once. 4 bytes give at most 128 KiB, so these give at most 8 MiB."""
_LARGEST_WINDOW: Final = 128 * 1024 * 1024
"""Memory that a frame may take: the limit of the library, and of zstd without --long."""
_LONGEST_HEADER: Final = 18
_MIB: Final = 1024 * 1024

_COMPRESSED: Final = (
    (b"\x1f\x8b", "gzip data", GZIP),
    (b"\x28\xb5\x2f\xfd", "zstd data", ZSTD),
    (b"BZh", "bzip2 data", ""),
    (b"\xfd7zXZ\x00", "xz data", ""),
    (b"PK\x03\x04", "a zip archive", ""),
)
"""First bytes, name, and the suffix with which such a file is decompressed here, if any."""
_BINARY: Final = (
    (b"\x7fELF", "a program"),
    (b"PAR1", "a Parquet file; convert it to one JSON event per line"),
    (b"Obj\x01", "an Avro file; convert it to one JSON event per line"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xfe", "UTF-16 text; convert it to UTF-8 first"),
    (b"\xfe\xff", "UTF-16 text; convert it to UTF-8 first"),
)
_SIGNATURES: Final = (BYTE_ORDER_MARK, *(each[0] for each in (*_COMPRESSED, *_BINARY)))


class Stream(Protocol):
    """A source of bytes."""

    def read1(self, size: int, /) -> bytes:
        """Read some bytes, at most `size`; none at the end."""


class WindowError(Exception):
    """Decompression needs more memory than allowed. The message says what to do."""


def may_be_binary(start: bytes) -> bool:
    """Whether more bytes are needed to recognise a file that begins with these."""
    return any(signature.startswith(start) for signature in _SIGNATURES)


def binary_kind(start: bytes, name: str) -> str | None:
    """Description of a binary file that begins with these decompressed bytes; None for text."""
    for magic, what, suffix in _COMPRESSED:
        if start.startswith(magic):
            return f"{what}{_advice(name, suffix)}"
    for magic, what in _BINARY:
        if start.startswith(magic):
            return what
    # JSON text contains no NUL. Events further down that are damaged by one become dead letters.
    if b"\0" in start[:_PROBE].partition(b"\n")[0]:
        return "binary, not text"
    return None


def _advice(name: str, suffix: str) -> str:
    if name.endswith((GZIP, ZSTD)):
        return " compressed twice; decompress it first"
    also = f", or give its name the suffix {suffix}" if suffix else ""
    return f"; decompress it first{also}"


def decompressed(name: str, file: IO[bytes]) -> Stream:
    """A stream of decompressed bytes. It raises EOFError if truncated, DAMAGED or WindowError."""
    if name.endswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if name.endswith(ZSTD):
        return _Zstd(file)
    return cast("Stream", file)  # all binary files of Python have read1


class _Zstd:
    """Reads consecutive zstd frames. Unlike the library's reader it detects truncation."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._compressed = b""
        self._text = memoryview(b"")

    def read1(self, size: int, /) -> bytes:
        """Read the next decompressed bytes; EOFError when the last frame is incomplete."""
        while not self._text:
            self._compressed = self._compressed or self._file.read(_FEED)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError
                return b""
            self._decompress()
        taken, self._text = bytes(self._text[:size]), self._text[size:]
        return taken

    def _decompress(self) -> None:
        if self._frame is None:
            if len(self._compressed) < _LONGEST_HEADER:
                self._compressed += self._file.read(_FEED)
            _check_window(self._compressed)
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._text = memoryview(self._frame.decompress(self._compressed))
        self._compressed = b""
        if self._frame.eof:
            self._compressed = self._frame.unused_data
            self._frame = None


def _check_window(frame: bytes) -> None:
    try:
        window = zstandard.get_frame_parameters(frame).window_size
    except zstandard.ZstdError:
        return  # truncated, or not a frame: reported by decompression
    if window > _LARGEST_WINDOW:
        bits = (window - 1).bit_length()
        raise WindowError(
            f"was compressed with a window of {window // _MIB} MiB, but at most "
            f"{_LARGEST_WINDOW // _MIB} MiB are allowed; run zstd -d --long={bits} first"
        )
