"""Readers of values that are one JSON token: numbers, text, bytes, times."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from math import isfinite
from typing import Final
from uuid import UUID

import msgspec

from pipeline.avro.decoding import (
    DecodingFault,
    JsonText,
    ReadValue,
    bounds_at,
    end_of,
    int_at,
    long_at,
)
from pipeline.core.timestamps import MAX_MS, MIN_MS, format_time, time_text

as_json: Final[Callable[[str | int | float], bytes]] = msgspec.json.Encoder().encode

_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_SMALLEST_NORMAL: Final = 2.0**-126
_FLOAT_DIGITS: Final = 6
"""Decimal digits that every float of 32 bits keeps; nine tell any two of them apart."""
_MAX_FLOAT_DIGITS: Final = 9
_MAX_DECIMAL_BYTES: Final = 1024
"""About 2,460 digits; Python does not write integers of more than 4,300, as they take long."""
UUID_SIZE: Final = 16
_EPOCH: Final = date(1970, 1, 1)
_FIRST_DAY: Final = (date.min - _EPOCH).days
_LAST_DAY: Final = (date.max - _EPOCH).days
_MS_OF_DAY: Final = 86_400_000
_SMALL: Final = {byte: as_json((byte >> 1) ^ -(byte & 1)) for byte in range(0x80)}
"""Texts of the numbers of one byte."""


def read_null(data: bytes, at: int, text: JsonText) -> int:  # noqa: ARG001  a ReadValue
    """Read a null, which has no bytes."""
    text.append(b"null")
    return at


def read_boolean(data: bytes, at: int, text: JsonText) -> int:
    """Read a boolean of one byte."""
    byte = data[at]
    if byte > 1:
        raise DecodingFault(f"a boolean of byte {byte:02x}")
    text.append(b"true" if byte else b"false")
    return at + 1


def _number_reader(number_at: Callable[[bytes, int], tuple[int, int]]) -> ReadValue:
    def read_number(data: bytes, at: int, text: JsonText) -> int:
        byte = data[at]
        if byte in _SMALL:
            text.append(_SMALL[byte])
            return at + 1
        value, at = number_at(data, at)
        text.append(as_json(value))
        return at

    return read_number


read_int: Final = _number_reader(int_at)
"""Reads an int."""
read_long: Final = _number_reader(long_at)
"""Reads a long."""


def read_float(data: bytes, at: int, text: JsonText) -> int:
    """Read a float, as the shortest number that is this float."""
    end = end_of(data, at, _FLOAT.size)
    raw = data[at:end]
    (value,) = _FLOAT.unpack(raw)
    text.append(as_json(_shortest(_finite(value), raw)))
    return end


def read_double(data: bytes, at: int, text: JsonText) -> int:
    """Read a double, as the shortest number that is this double."""
    end = end_of(data, at, _DOUBLE.size)
    (value,) = _DOUBLE.unpack_from(data, at)
    text.append(as_json(_finite(value)))
    return end


def _finite(value: float) -> float:
    if not isfinite(value):
        raise DecodingFault(f"{value} is a number that JSON does not have")
    return value


def _shortest(value: float, raw: bytes) -> float:
    first = _FLOAT_DIGITS if abs(value) >= _SMALLEST_NORMAL else 1
    for digits in range(first, _MAX_FLOAT_DIGITS):
        rounded = float(f"{value:.{digits}g}")
        try:
            if _FLOAT.pack(rounded) == raw:
                return rounded
        except OverflowError:
            continue
    return float(f"{value:.{_MAX_FLOAT_DIGITS}g}")


def read_string(data: bytes, at: int, text: JsonText) -> int:
    """Read a string."""
    size = data[at]
    if not size & 0x81:  # a length below 64
        at += 1
    elif not size & 1 and data[at + 1] < 0x80:  # noqa: PLR2004  one below 8192, of two bytes
        size = size & 0x7F | data[at + 1] << 7
        at += 2
    else:
        at, end = bounds_at(data, at)
        size = (end - at) << 1
    end = at + (size >> 1)
    if end > len(data):
        end_of(data, at, size >> 1)
    text.append(as_json(data[at:end].decode()))
    return end


def read_bytes(data: bytes, at: int, text: JsonText) -> int:
    """Read bytes as Avro's own JSON encoding has them: each is the character of its number."""
    at, end = bounds_at(data, at)
    text.append(as_json(data[at:end].decode("latin-1")))
    return end


def fixed_reader(size: int) -> ReadValue:
    """Make the reader of a fixed, which is written like bytes."""

    def read_fixed(data: bytes, at: int, text: JsonText) -> int:
        end = end_of(data, at, size)
        text.append(as_json(data[at:end].decode("latin-1")))
        return end

    return read_fixed


def read_fixed_uuid(data: bytes, at: int, text: JsonText) -> int:
    """Read a UUID of 16 bytes in its usual form."""
    end = end_of(data, at, UUID_SIZE)
    text.append(as_json(str(UUID(bytes=data[at:end]))))
    return end


def enum_reader(symbols: list[str]) -> ReadValue:
    """Make the reader of an enum, which is written as its symbol."""
    texts = [as_json(symbol) for symbol in symbols]

    def read_enum(data: bytes, at: int, text: JsonText) -> int:
        index, at = int_at(data, at)
        if not 0 <= index < len(texts):
            raise DecodingFault(f"symbol {index} of an enum of {len(texts)}")
        symbol = texts[index]
        text.spend(len(symbol))
        text.append(symbol)
        return at

    return read_enum


def decimal_reader(scale: int, size: int | None) -> ReadValue:
    """Make the reader of a decimal in bytes, or in a fixed of that size, with all of its digits."""

    def read_decimal(data: bytes, at: int, text: JsonText) -> int:
        if size is None:
            at, end = bounds_at(data, at)
        else:
            end = end_of(data, at, size)
        if end - at > _MAX_DECIMAL_BYTES:
            raise DecodingFault(f"a decimal of {end - at} bytes, over {_MAX_DECIMAL_BYTES}")
        text.append(_decimal(int.from_bytes(data[at:end], "big", signed=True), scale).encode())
        return end

    return read_decimal


def _decimal(unscaled: int, scale: int) -> str:
    if not scale:
        return str(unscaled)
    digits = str(unscaled).zfill(scale + 2 if unscaled < 0 else scale + 1)
    return f"{digits[:-scale]}.{digits[-scale:]}"


def time_reader(read: Callable[[bytes, int], tuple[int, int]], form: TimeText) -> ReadValue:
    """Make the reader of a time; a number that is no such time stays a number."""

    def read_time(data: bytes, at: int, text: JsonText) -> int:
        value, at = read(data, at)
        formed = form(value)
        text.append(as_json(value if formed is None else formed))
        return at

    return read_time


TimeText = Callable[[int], str | None]
"""Text of a number of a logical type; None when the number is outside of what the type is for."""


def _moment(units_per_ms: int, zone: str) -> TimeText:
    """Form of a moment in time, with three, six or nine decimals."""
    digits = len(str(units_per_ms)) - 1

    def form(value: int) -> str | None:
        ms, rest = divmod(value, units_per_ms)
        if not MIN_MS <= ms <= MAX_MS:
            return None
        further = f"{rest:0{digits}d}" if digits else ""
        return f"{format_time(ms)[:-1]}{further}{zone}"

    return form


def _time_of_day(units_per_ms: int) -> TimeText:
    moment = _moment(units_per_ms, "")

    def form(value: int) -> str | None:
        if not 0 <= value < _MS_OF_DAY * units_per_ms:
            return None
        text = moment(value)
        return None if text is None else text.partition("T")[2]

    return form


def _date(days: int) -> str | None:
    if not _FIRST_DAY <= days <= _LAST_DAY:
        return None
    return (_EPOCH + timedelta(days)).isoformat()


_MICROS: Final = 1_000
_NANOS: Final = 1_000_000
TIMES: Final[Mapping[tuple[str, str], ReadValue]] = {
    ("int", "date"): time_reader(int_at, _date),
    ("int", "time-millis"): time_reader(int_at, _time_of_day(1)),
    ("long", "time-micros"): time_reader(long_at, _time_of_day(_MICROS)),
    ("long", "timestamp-millis"): time_reader(long_at, time_text),
    ("long", "timestamp-micros"): time_reader(long_at, _moment(_MICROS, "Z")),
    ("long", "timestamp-nanos"): time_reader(long_at, _moment(_NANOS, "Z")),
    ("long", "local-timestamp-millis"): time_reader(long_at, _moment(1, "")),
    ("long", "local-timestamp-micros"): time_reader(long_at, _moment(_MICROS, "")),
    ("long", "local-timestamp-nanos"): time_reader(long_at, _moment(_NANOS, "")),
}
"""Readers of logical types that are times, by type and logical type."""
