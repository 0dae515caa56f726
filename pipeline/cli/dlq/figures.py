"""Shares and times as the desk's tables show them."""

from __future__ import annotations

from typing import Final

from pipeline.core.timestamps import time_text

_LENGTH: Final = len("2026-11-23T15:22:00")
_DAY_LENGTH: Final = len("2026-11-23")
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


def percent(share: float) -> str:
    """`12 %`; 0 and 100 only when it is exactly that."""
    if 0 < share < 0.01:  # noqa: PLR2004  a percent
        return "<1 %"
    if 0.99 < share < 1:  # noqa: PLR2004  a percent
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


def duration(milliseconds: int) -> str:
    """`4 min`, `90 s`: in the largest unit that gives a whole number."""
    for size, unit in _UNITS:
        if milliseconds % size == 0:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"


class Times:
    """Moments in UTC to the second; the day is left out where all are of one day."""

    def __init__(self, first: int, last: int) -> None:
        self._day = _text(first)[:_DAY_LENGTH]
        self._one_day = self._day == _text(last)[:_DAY_LENGTH]
        self._first, self._last = first, last

    def text(self, time: int) -> str:
        """One of them, epoch milliseconds; a dash for none."""
        if not time:
            return "-"
        text = _text(time)
        return text[_DAY_LENGTH + 1 :] if self._one_day else text[len("2026-") :]

    def span(self) -> str:
        """From the first to the last."""
        if not self._first:
            return ""
        last = _text(self._last)
        if self._one_day:
            last = last[_DAY_LENGTH + 1 :]
        return f"{_text(self._first)} to {last} UTC"


def _text(time: int) -> str:
    return (time_text(time) or "-")[:_LENGTH].replace("T", " ")
