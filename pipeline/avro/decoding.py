"""Parts of Avro's binary encoding, read within the bytes that there are.

A reader gets the bytes of a value, the position of what it reads, and the JSON text that it adds
to; it returns the position behind. What can't be read is a `DecodingFault`; a value that ends too
early may also be an IndexError, which costs nothing where the next byte is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MORE: Final = 0x80
"""Bit of a byte that another one follows."""
_DIGIT: Final = 0x7F
_SHIFTS: Final = tuple(range(7, 70, 7))
"""Places of the second and each further byte of a number, of which there are ten at most."""
_LONG_BITS: Final = 64
_TOO_MANY_BITS: Final = "a number of more than 64 bits"
_INT_BOUND: Final = 1 << 31


class DecodingFault(Exception):  # noqa: N818  it ends no command, it becomes a rejection
    """What is wrong with a value in Avro's binary encoding, and where."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.at: int | None = None
        """Position at which the innermost field begins."""
        self.path: list[str] = []
        """Names of the fields around it, innermost first."""


class LengthFault(DecodingFault):
    """More JSON text than there may be."""

    def __init__(self) -> None:
        super().__init__(
            "it becomes more JSON than limits.max_batch_output_bytes: raise that, and redrive"
        )


class DepthFault(DecodingFault):
    """A type that contains itself too many times."""

    def __init__(self) -> None:
        super().__init__("a type contains itself too many times")


class JsonText(list[bytes]):
    """Pieces of JSON text while they are written, with what may still follow.

    Pieces take far more memory than their text, so they are joined now and then.
    """

    __slots__ = ("_joined", "_room", "left", "recursions")

    def __init__(self, max_text: int, recursions: int) -> None:
        super().__init__()
        self.left = max_text
        """Bytes of names and symbols that may still be written: a record of few bytes may have a
        schema that makes any length of text of it."""
        self.recursions = recursions
        """How many times a type may still contain itself."""
        self._room = max_text
        self._joined: list[bytes] = []

    def spend(self, size: int) -> None:
        """Count a name or symbol that is about to be written; LengthFault when it is too much."""
        self.left -= size
        if self.left < 0:
            raise LengthFault

    def join(self) -> None:
        """Join the pieces that there are; LengthFault when all text so far is too long."""
        text = b"".join(self)
        self.clear()
        self._room -= len(text)
        if self._room < 0:
            raise LengthFault
        self._joined.append(text)

    def whole(self) -> bytes:
        """Return the whole text; LengthFault when it is too long."""
        self.join()
        return b"".join(self._joined)


ReadValue = Callable[[bytes, int, JsonText], int]
"""Reads one value; see the module."""


def located(error: Exception, at: int, name: str) -> DecodingFault:
    """Return the fault that an error within a field is, with the field's name and position."""
    if isinstance(error, DecodingFault):
        fault = error
    elif isinstance(error, UnicodeDecodeError):
        fault = DecodingFault(f"a text that is not UTF-8 ({error.reason})")
    else:
        fault = DecodingFault("the value ends too early")
    if fault.at is None:
        fault.at = at
    fault.path.append(name)
    return fault


FAULTS: Final = (DecodingFault, IndexError, UnicodeDecodeError)
"""What reading a value may raise."""


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of up to 64 bits; return it and the position behind."""
    value = data[at]
    at += 1
    if value >= _MORE:
        value &= _DIGIT
        for shift in _SHIFTS:
            byte = data[at]
            at += 1
            value |= (byte & _DIGIT) << shift
            if byte < _MORE:
                break
        else:
            raise DecodingFault(_TOO_MANY_BITS)
        if value >> _LONG_BITS:
            raise DecodingFault(_TOO_MANY_BITS)
    return (value >> 1) ^ -(value & 1), at


def int_at(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of up to 32 bits; return it and the position behind."""
    value, at = long_at(data, at)
    if not -_INT_BOUND <= value < _INT_BOUND:
        raise DecodingFault("an int of more than 32 bits")
    return value, at


def bounds_at(data: bytes, at: int) -> tuple[int, int]:
    """Read the length of bytes or text; return where it begins and ends."""
    size, at = long_at(data, at)
    if size < 0:
        raise DecodingFault(f"a length of {size}")
    return at, end_of(data, at, size)


def end_of(data: bytes, at: int, size: int) -> int:
    """Return the position behind that many bytes, which must be there."""
    end = at + size
    if end > len(data):
        raise DecodingFault(f"{size} bytes are announced, {len(data) - at} are left")
    return end


def block_at(data: bytes, at: int) -> tuple[int, int]:
    """Read the head of a block of items, each of at least one byte; return count and position."""
    if not data[at]:
        return 0, at + 1
    count, at = long_at(data, at)
    if count < 0:
        count = -count
        _size, at = long_at(data, at)
    if count > len(data) - at:
        raise DecodingFault(f"{count} items are announced, {len(data) - at} bytes are left")
    return count, at
