"""Times as clients send them → epoch milliseconds, and back to one canonical form.

Canonical: ISO-8601, UTC, milliseconds (truncated), `Z`. Almost every time that arrives has that
form already; two caches of its halves (minute, second) make reading it a matter of two look-ups.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000
DAY = 86_400_000
MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z"""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z"""

_CANONICAL_LENGTH = len("2015-12-12T19:11:01.266Z")
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:")
_SECOND = re.compile(r"([0-5][0-9])\.([0-9]{3})Z")
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?"
    r"([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_SECONDS_DIGITS = 10
_MILLISECONDS_DIGITS = 13
_MAX_OFFSET_HOURS = 23
_MAX_MINUTE = 59


def read_time(value: Any) -> int | None:  # noqa: ANN401  any JSON value
    """Epoch milliseconds of an ISO-8601 text or an epoch number; None when it can't be read.

    Never raises: years outside 1-9999 and offsets that leave that range can't be read.
    """
    if type(value) is str:
        if len(value) == _CANONICAL_LENGTH:
            minute = _minute(value[:17])
            if minute is not None:
                second = _second(value[17:])
                if second is not None:
                    return minute + second
        return _from_text(value)
    if type(value) is int:
        return _from_epoch(value)
    if type(value) is Decimal:
        # 10^13 has 14 digits: what is checked here is only that int() stays cheap.
        return _from_decimal(value) if 0 < value.adjusted() < _MILLISECONDS_DIGITS else None
    return None


def format_time(ms: int) -> str:
    """Epoch milliseconds within years 1-9999 in canonical form."""
    minutes, rest = divmod(ms, MINUTE)
    return _minute_text(minutes) + _second_text(rest)


@lru_cache(maxsize=8192)
def _minute(text: str) -> int | None:
    if not _MINUTE.fullmatch(text):
        return None
    try:
        return (datetime.strptime(text + "+0000", "%Y-%m-%dT%H:%M:%z") - EPOCH) // timedelta(
            milliseconds=1
        )
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def _second(text: str) -> int | None:
    match = _SECOND.fullmatch(text)
    return int(match[1]) * 1000 + int(match[2]) if match else None


@lru_cache(maxsize=8192)
def _minute_text(minutes: int) -> str:
    moment = EPOCH + timedelta(minutes=minutes)
    return f"{moment.isoformat(timespec='minutes').removesuffix('+00:00')}:"


@lru_cache(maxsize=65536)
def _second_text(ms: int) -> str:
    return f"{ms // 1000:02d}.{ms % 1000:03d}Z"


def _from_text(text: str) -> int | None:
    if text.isascii() and text.isdigit():
        return _from_epoch(int(text)) if len(text) <= _MILLISECONDS_DIGITS else None
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    date, hours, minutes, seconds, fraction, zone = match.groups()
    offset = _offset(zone)
    minute = _minute(f"{date}T{hours or '00'}:{minutes or '00'}:")
    if minute is None or offset is None:
        return None
    ms = minute + int(seconds or 0) * 1000 + int((fraction or "0").ljust(3, "0")[:3]) - offset
    return ms if MIN_MS <= ms <= MAX_MS else None


def _offset(zone: str | None) -> int | None:
    """Milliseconds east of UTC of `Z`, `±hh`, `±hhmm`, `±hh:mm` or nothing (UTC)."""
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > len("+hh") else 0
    if hours > _MAX_OFFSET_HOURS or minutes > _MAX_MINUTE:
        return None
    return (hours * 60 + minutes) * MINUTE * (-1 if zone[0] == "-" else 1)


def _from_epoch(number: int) -> int | None:
    """Ten digits are seconds, thirteen are milliseconds; nothing else is a time."""
    if 10 ** (_SECONDS_DIGITS - 1) <= number < 10**_SECONDS_DIGITS:
        return number * 1000
    if 10 ** (_MILLISECONDS_DIGITS - 1) <= number < 10**_MILLISECONDS_DIGITS:
        return number
    return None


def _from_decimal(number: Decimal) -> int | None:
    whole = _from_epoch(int(number))
    if whole is None or whole == int(number):
        return whole
    return int(number.scaleb(3))
