"""Avro's binary encoding of numbers, which the code of a generated encoder looks up or calls."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from pipeline.core.memo import Memo

FIRST_BITS: Final = 6
"""Bits of a positive long in its first byte, beside the sign."""
NEXT_BITS: Final = 7
LOW_BITS: Final = FIRST_BITS + NEXT_BITS
_LENGTHS: Final = 8192
"""Number of lengths that are kept: as many as have one byte or two."""
_BLOCKS: Final = 4096
"""Times are kept in blocks of eight seconds, so these cover nine hours."""
_DIGIT: Final = 0x7F
_MORE: Final = 0x80

WriteAmount = Callable[[int | Decimal], bytes]


def write_long(number: int) -> bytes:
    """An int or a long: zigzag, then seven bits in each byte, the lowest ones first."""
    return _variable_length(number << 1 if number >= 0 else ~(number << 1))


def _variable_length(rest: int) -> bytes:
    written = bytearray()
    while rest > _DIGIT:
        written.append(rest & _DIGIT | _MORE)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def lengths(branch: bytes) -> Memo[int, bytes]:
    """Bytes of each length, after the branch of a union."""
    return Memo(lambda length: branch + write_long(length), _LENGTHS)


def first_bytes(branch: bytes) -> list[bytes]:
    """First byte of a longer positive long, after the branch of a union, by its lowest bits."""
    return [branch + bytes([bits << 1 | _MORE]) for bits in range(1 << FIRST_BITS)]


second_bytes: Final = [bytes([bits | _MORE]) for bits in range(1 << NEXT_BITS)]
"""Second byte of such a long that has a third one, by the bits above these.

Tables as small as these stay in the processor's caches; one for both bytes does not.
"""
other_bytes: Final = Memo(_variable_length, _BLOCKS)
"""Its other bytes, by all bits above `LOW_BITS`."""


def amount_writer(precision: int, scale: int, branch: bytes, unfit: bytes | None) -> WriteAmount:
    """Return a function that writes a decimal, rounded half-even to the places of its scale.

    One that has too many digits is written as `unfit`; without that, ValueError.
    """
    place, limit, units = Decimal(1).scaleb(-scale), 10**precision, 10**scale
    context = Context(prec=precision, rounding=ROUND_HALF_EVEN)
    length_of = lengths(branch)

    def unscaled(amount: int | Decimal) -> int | None:
        if type(amount) is int:
            return amount * units if -limit < amount * units < limit else None
        try:
            return int(context.scaleb(context.quantize(amount, place), scale))
        except (ArithmeticError, ValueError):  # too many digits; not a number
            return None

    def write(amount: int | Decimal) -> bytes:
        number = unscaled(amount)
        if number is None:
            if unfit is None:
                raise ValueError(f"{amount} does not fit a decimal({precision}, {scale})")
            return unfit
        size = (number.bit_length() + 8) >> 3
        return length_of[size] + number.to_bytes(size, "big", signed=True)

    return write
