"""Converts times as clients send them to epoch milliseconds, and back to a canonical form.

The canonical form is ISO-8601, UTC, milliseconds (truncated), `Z`. Almost every time arrives in
it, so reading and writing takes two look-ups: the second, and its fraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from tests.oracle.contract_1.json_value import JsonValue

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000
DAY = 86_400_000
MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z"""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z"""

_CANONICAL_LENGTH = len("2015-12-12T19:11:01.266Z")
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:")
_ZONE = r"[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?"
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?(" + _ZONE + r")?)?"
)
_NUMBER = re.compile(r"[1-9][0-9]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?")
"""Matches a number as JSON has it: an epoch in text is read like one without quotes."""
_OPTIONAL_ZONE = re.compile(f"(?:{_ZONE})?")
_MAX_FRACTION_DIGITS = 9
_SECONDS_DIGITS = 10
_MILLISECONDS_DIGITS = 13
_MAX_OFFSET_HOURS = 23
_MAX_MINUTE = 59


_K = TypeVar("_K")
_V = TypeVar("_V")


def read_time(value: JsonValue) -> tuple[int, str] | None:
    """Read ISO-8601 text or an epoch number as (epoch ms, canonical text); None if it is neither.

    Never raises. Times outside of the years 1-9999 give None, too.
    """
    if type(value) is str and len(value) == _CANONICAL_LENGTH:
        try:
            return _MS_OF_SECOND[value[:20]] + _MS_OF_FRACTION[value[20:]], value
        except KeyError:
            pass  # another form, or not a time
    ms = _read_other(value)
    return None if ms is None else (ms, format_time(ms))


def _read_other(value: JsonValue) -> int | None:
    if type(value) is str:
        return _from_text(value)
    if type(value) is int:
        return _from_epoch(value)
    return _from_decimal(value) if type(value) is Decimal else None


def format_time(ms: int) -> str:
    """Epoch milliseconds, within the years 1-9999, in canonical form."""
    return _TEXT_OF_SECOND[ms // 1000] + _FRACTIONS[ms % 1000]


def time_text(ms: int | None) -> str | None:
    """Timestamp of any record in canonical form; None without one, or when it is out of range.

    A producer that gives Kafka microseconds instead of milliseconds is beyond the year 9999.
    """
    return format_time(ms) if ms is not None and MIN_MS <= ms <= MAX_MS else None


class _Memo(dict[_K, _V]):
    """Bounded cache of a pure function; a look-up takes half the time of an lru_cache's."""

    def __init__(self, function: Callable[[_K], _V], max_size: int) -> None:
        self._function = function
        self._max_size = max_size

    def __missing__(self, key: _K) -> _V:
        if len(self) >= self._max_size:
            self.clear()
        value = self[key] = self._function(key)
        return value


def _parse_minute(text: str) -> int:
    """Epoch milliseconds of `2015-12-12T19:11:`; KeyError when it is not a valid minute."""
    if not _MINUTE.fullmatch(text):
        raise KeyError
    try:
        moment = datetime.strptime(text + "+0000", "%Y-%m-%dT%H:%M:%z")
    except ValueError:
        raise KeyError from None
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _format_minute(minutes: int) -> str:
    moment = EPOCH + timedelta(minutes=minutes)
    return f"{moment.isoformat(timespec='minutes').removesuffix('+00:00')}:"


_SECONDS: Final = [f"{second:02d}." for second in range(60)]
_FRACTIONS: Final = [f"{ms:03d}Z" for ms in range(1000)]
_MS_IN_MINUTE: Final = {text: second * 1000 for second, text in enumerate(_SECONDS)}
_MS_OF_MINUTE: Final = _Memo(_parse_minute, 8192)
_TEXT_OF_MINUTE: Final = _Memo(_format_minute, 8192)


def _parse_second(text: str) -> int:
    """Epoch milliseconds of `2015-12-12T19:11:01.`; KeyError when it is not a valid second."""
    return _MS_OF_MINUTE[text[:17]] + _MS_IN_MINUTE[text[17:]]


def _format_second(seconds: int) -> str:
    return _TEXT_OF_MINUTE[seconds // 60] + _SECONDS[seconds % 60]


# Based on the minute's, so that a second that is not cached is fast, too.
_MS_OF_SECOND: Final = _Memo(_parse_second, 8192)
_TEXT_OF_SECOND: Final = _Memo(_format_second, 8192)
_MS_OF_FRACTION: Final = {text: ms for ms, text in enumerate(_FRACTIONS)}


def _from_text(text: str) -> int | None:
    ms: int | None
    try:
        ms = _from_usual_text(text)
    except KeyError:
        ms = _from_unusual_text(text)
    return ms if ms is not None and MIN_MS <= ms <= MAX_MS else None


def _from_usual_text(text: str) -> int:
    """Epoch milliseconds of `2015-12-12T19:11:01[.266[123]][+00:00]`, also by look-ups.

    Server libraries send this form. KeyError when the text has another one, or is not a time.
    """
    ms, zone = _MS_OF_SECOND[text[:19] + "."], text[19:]
    if zone[:1] == ".":
        ms += _MS_OF_FRACTION[zone[1:4] + "Z"]
        digits = len(zone) - len(zone := zone[1:].lstrip("0123456789")) - 1
        if digits > _MAX_FRACTION_DIGITS:
            raise KeyError
    return ms - _OFFSET[zone]


def _from_unusual_text(text: str) -> int | None:
    if (trimmed := text.strip()) != text:
        return _from_text(trimmed)
    if _NUMBER.fullmatch(text):
        return _from_decimal(Decimal(text))
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    date, hours, minutes, seconds, fraction, zone = match.groups()
    try:
        ms = _MS_OF_MINUTE[f"{date}T{hours or '00'}:{minutes or '00'}:"] - _OFFSET[zone or ""]
    except KeyError:
        return None
    return ms + int(seconds or 0) * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def _parse_zone(zone: str) -> int:
    """Offset from UTC in milliseconds of `Z`, `±hh`, `±hhmm`, `±hh:mm` or ""; else KeyError."""
    if not _OPTIONAL_ZONE.fullmatch(zone):
        raise KeyError
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > len("+hh") else 0
    if hours > _MAX_OFFSET_HOURS or minutes > _MAX_MINUTE:
        raise KeyError
    return (hours * 60 + minutes) * MINUTE * (-1 if zone[0] == "-" else 1)


_OFFSET: Final = _Memo(_parse_zone, 8192)


def _from_epoch(number: int) -> int | None:
    """Epoch milliseconds of a number: ten digits are seconds, thirteen are milliseconds."""
    if 10 ** (_SECONDS_DIGITS - 1) <= number < 10**_SECONDS_DIGITS:
        return number * 1000
    if 10 ** (_MILLISECONDS_DIGITS - 1) <= number < 10**_MILLISECONDS_DIGITS:
        return number
    return None


def _from_decimal(number: Decimal) -> int | None:
    # 10^13 has 14 digits. This check only keeps int() fast.
    if not 0 < number.adjusted() < _MILLISECONDS_DIGITS:
        return None
    whole = _from_epoch(int(number))
    if whole is None or whole == int(number):
        return whole
    return int(number.scaleb(3))
