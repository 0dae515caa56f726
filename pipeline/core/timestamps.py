"""Converts times as clients send them to epoch milliseconds, and back to a canonical form.

The canonical form is ISO-8601, UTC, milliseconds (truncated), `Z`. Almost every time arrives in
it, so reading and writing takes two look-ups: the second, and its fraction.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final, TypeAlias

from pipeline.core.json_value import JsonValue
from pipeline.core.memo import Memo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000
DAY = 86_400_000
MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z"""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z"""
Y2000 = 946_684_800_000
"""2000-01-01T00:00:00.000Z"""

_CANONICAL_LENGTH = len("2015-12-12T19:11:01.266Z")
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:")
_ZONE_NAMES: Final = {
    name: hours * 60 * MINUTE
    for hours, names in {
        0: ("", "Z", "UT", "UTC", "GMT"),
        -4: ("EDT",),
        -5: ("EST", "CDT"),
        -6: ("CST", "MDT"),
        -7: ("MST", "PDT"),
        -8: ("PST",),
    }.items()
    for name in names
}
"""Offsets of no zone, which is read as UTC, and of UTC and the zones that RFC 822 names. Each other
name stands for several zones."""
_ZONE_AFTER_SPACE = r" (?:[+-][0-9]{2}:?[0-9]{2}|[A-Za-z]{1,3})"
_ZONE = r"[Zz]|[+-][0-9]{2}(?::[0-9]{2}(?::[0-9]{2})?|[0-9]{2}(?:[0-9]{2})?)?|" + _ZONE_AFTER_SPACE
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{1,2}):([0-9]{2})"
    r"(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?(" + _ZONE + r")?)?"
)
_DAYS: Final = (
    "mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
)
_MONTHS: Final = {
    name: f"{number:02d}"
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_RFC = re.compile(
    rf"(?:(?:{_DAYS}), +)?(?P<day>[0-9]{{1,2}})(?P<dash>[ -])"
    rf"(?P<month>{'|'.join(_MONTHS)})(?P=dash)"
    r"(?P<year>[0-9]{4}|[0-9]{2}) +(?P<hours>[0-9]{1,2}):(?P<minutes>[0-9]{2})"
    rf"(?::(?P<seconds>[0-5][0-9]))?(?P<zone>{_ZONE_AFTER_SPACE})",
    re.ASCII | re.IGNORECASE,
)
"""Matches a date of RFC 1123, RFC 822 (with its successors) or RFC 850. The zone is required, as it
is there; the name of the day says nothing that the date does not."""
_LAST_SHORT_YEAR = 68
"""Last year of two digits that belongs to this century, as POSIX has it."""
_NUMBER = re.compile(r"[1-9][0-9]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?")
"""Matches a number as JSON has it: an epoch in text is read like one without quotes."""
_OPTIONAL_ZONE = re.compile(f"(?:{_ZONE})?")
_MAX_FRACTION_DIGITS = 9
_UNITS_PER_SECOND: Final = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
"""Number of digits of an epoch number → how many of its unit are a second."""
_TOO_LONG: Final = 10**19
_TRUNCATING: Final = Context(prec=40, rounding=ROUND_DOWN)
"""Holds more digits than matter: 19 before the point, and three after it."""
_MAX_LENGTH: Final = 64
"""Length beyond which text is no time (but for a number): the work on hostile text is bounded."""
_SIGNS: Final = ("+", "-")
_MAX_OFFSET_HOURS = 23
_MAX_MINUTE = 59


_Time: TypeAlias = tuple[int, str]
"""Epoch milliseconds and the canonical text."""


def read_time(value: JsonValue) -> _Time | None:
    """Read a time as (epoch ms, canonical text); None when it is none.

    It is ISO-8601 text, a date of RFC 1123, RFC 822 or RFC 850, or an epoch number. Never raises.
    Times outside of the years 1-9999 give None, too.
    """
    if type(value) is str:
        try:
            if len(value) == _CANONICAL_LENGTH:
                return _MS_OF_SECOND[value[:20]] + _MS_OF_FRACTION[value[20:]], value
            return _from_usual_text(value)
        except KeyError:
            pass  # another form, or not a time
    ms = _read_other(value)
    return None if ms is None or not MIN_MS <= ms <= MAX_MS else (ms, format_time(ms))


def _read_other(value: JsonValue) -> int | None:
    if type(value) is str:
        return _from_unusual_text(value)
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


def _parse_minute(text: str) -> int:
    """Epoch milliseconds of `2015-12-12T19:11:`; KeyError when it is not a valid minute."""
    if not _MINUTE.fullmatch(text):
        raise KeyError
    try:
        moment = datetime.fromisoformat(f"{text}00Z")
    except ValueError:
        raise KeyError from None
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _format_minute(minutes: int) -> str:
    moment = EPOCH + timedelta(minutes=minutes)
    return f"{moment.isoformat(timespec='minutes').removesuffix('+00:00')}:"


_SECONDS: Final = [f"{second:02d}." for second in range(60)]
_FRACTIONS: Final = [f"{ms:03d}Z" for ms in range(1000)]
_MS_IN_MINUTE: Final = {text: second * 1000 for second, text in enumerate(_SECONDS)}
_MS_OF_MINUTE: Final = Memo(_parse_minute, 8192)
_TEXT_OF_MINUTE: Final = Memo(_format_minute, 8192)


def _parse_second(text: str) -> int:
    """Epoch milliseconds of `2015-12-12T19:11:01.`; KeyError when it is not a valid second."""
    return _MS_OF_MINUTE[text[:17]] + _MS_IN_MINUTE[text[17:]]


def _format_second(seconds: int) -> str:
    return _TEXT_OF_MINUTE[seconds // 60] + _SECONDS[seconds % 60]


# Based on the minute's, so that a second that is not cached is fast, too.
_MS_OF_SECOND: Final = Memo(_parse_second, 8192)
_TEXT_OF_SECOND: Final = Memo(_format_second, 8192)
_MS_OF_FRACTION: Final = {text: ms for ms, text in enumerate(_FRACTIONS)}


def _from_usual_text(text: str) -> _Time:
    """Reads `2015-12-12T19:11:01[.266[123]][+00:00]`, also by look-ups.

    Server libraries send this form. KeyError when the text has another one, or is not a time.
    """
    second, zone, fraction = text[:19] + ".", text[19:], _FRACTIONS[0]
    ms = _MS_OF_SECOND[second]
    if zone[:1] == ".":
        fraction = zone[1:4] + "Z"
        ms += _MS_OF_FRACTION[fraction]
        digits = len(zone) - len(zone := zone[1:].lstrip("0123456789")) - 1
        if digits > _MAX_FRACTION_DIGITS:
            raise KeyError
    offset = _OFFSET[zone]
    if not offset:
        return ms, second + fraction
    ms -= offset
    if not MIN_MS <= ms <= MAX_MS:
        raise KeyError
    return ms, format_time(ms)


def _from_unusual_text(text: str) -> int | None:
    if (trimmed := text.strip()) != text:
        found = read_time(trimmed)
        return None if found is None else found[0]
    if _NUMBER.fullmatch(text):
        return _from_decimal(Decimal(text))
    if len(text) > _MAX_LENGTH:
        return None
    try:
        if match := _RFC.fullmatch(text):
            return _from_usual_text(_as_iso(match))[0]
        return _from_iso(text)
    except KeyError:
        return None


def _from_iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None:
        raise KeyError
    date, hours, minutes, seconds, fraction, zone = match.groups()
    ms = _MS_OF_MINUTE[f"{date}T{hours or '0':0>2}:{minutes or '00'}:"] - _OFFSET[zone or ""]
    return ms + int(seconds or 0) * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def _as_iso(match: re.Match[str]) -> str:
    """ISO-8601 text of a date of RFC 1123, RFC 822 or RFC 850."""
    year, month, day = match["year"], _MONTHS[match["month"].lower()], match["day"]
    if len(year) == len("15"):
        year = f"{'20' if int(year) <= _LAST_SHORT_YEAR else '19'}{year}"
    clock = f"{match['hours']:0>2}:{match['minutes']}:{match['seconds'] or '00'}"
    return f"{year}-{month}-{day:0>2}T{clock}{match['zone']}"


def _parse_zone(zone: str) -> int:
    """Offset from UTC in milliseconds of `Z`, `±hh:mm`, ` PDT`, … or ""; else KeyError."""
    if not _OPTIONAL_ZONE.fullmatch(zone):
        raise KeyError
    zone = zone.strip()
    if not zone.startswith(_SIGNS):
        return _ZONE_NAMES[zone.upper()]
    digits = zone[1:].replace(":", "").ljust(len("hhmmss"), "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > _MAX_OFFSET_HOURS or minutes > _MAX_MINUTE or seconds > _MAX_MINUTE:
        raise KeyError
    offset = (hours * 60 + minutes) * MINUTE + seconds * 1000
    return -offset if zone[0] == "-" else offset


_OFFSET: Final = Memo(_parse_zone, 8192)


def _from_epoch(number: int) -> int | None:
    """Epoch milliseconds of a number: how many digits it has says in which unit it counts."""
    if not 0 < number < _TOO_LONG:
        return None
    units = _UNITS_PER_SECOND.get(len(str(number)))
    return None if units is None else number * 1000 // units


def _from_decimal(number: Decimal) -> int | None:
    units = _UNITS_PER_SECOND.get(number.adjusted() + 1)
    if units is None or number < 0:
        return None
    return int(number.scaleb(3, context=_TRUNCATING)) // units
