"""Avro's binary encoding of numbers, which the code of a generated encoder looks up or calls."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from pipeline.core.memo import Memo

LOW_BITS: Final = 13
"""Bits of a positive long that its first two bytes hold."""
_LENGTHS: Final = 1 << LOW_BITS
"""Lengths that are kept as bytes, which are those of two bytes; a longer text takes a call more."""
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


def low_bits(branch: bytes) -> list[bytes]:
    """First two bytes of each positive long of more than `LOW_BITS`, by these bits of it.

    A list, since an index into one takes half the time of a key.
    """
    return [
        branch + bytes([(bits << 1) & _DIGIT | _MORE, bits >> 6 | _MORE])
        for bits in range(1 << LOW_BITS)
    ]


high_bits: Final = Memo(_variable_length, _BLOCKS)
"""All other bytes of such a long, by its bits above these."""


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
