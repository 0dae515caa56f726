"""Time windows with bounds as people write them: `2026-11-01`, `2026-11-01T12:00Z`, `3d`."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pipeline.core.timestamps import DAY, MINUTE, format_time, read_time

_UNITS: Final = {
    "s": MINUTE // 60,
    "m": MINUTE,
    "h": 60 * MINUTE,
    "d": DAY,
    "w": 7 * DAY,
}
_AGE: Final = re.compile(r"-?([0-9]{1,9})([smhdw])")
_FORMS: Final = ("2026-11-01", "2026-11-01T12:00Z", "an age such as 3d")


def time_forms(*others: str) -> str:
    """List the forms of a time that people may write, and other accepted ones, for a sentence."""
    *forms, last = (*_FORMS, *others)
    return f"{', '.join(forms)}, or {last}"


FORMS: Final = time_forms()
"""The forms of a time that people may write, for help texts."""


class Window(NamedTuple):
    """Kafka timestamps from `start` up to, but not including, `end`.

    Both are epoch milliseconds; None means unbounded.
    """

    start: int | None = None
    end: int | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether some record could be outside."""
        return self.start is not None or self.end is not None

    def holds(self, timestamp: int | None) -> bool:
        """Whether a record with this timestamp is inside; without one it is only if all are."""
        if timestamp is None:
            return not self.is_bounded
        return (self.start is None or self.start <= timestamp) and (
            self.end is None or timestamp < self.end
        )

    def text(self) -> str:
        """The bounds as part of a sentence; empty when there are none."""
        start = "" if self.start is None else f"from {format_time(self.start)}"
        end = "" if self.end is None else f"before {format_time(self.end)}"
        return " ".join(filter(None, (start, end)))


ALL_TIME: Final = Window()


def read_moment(text: str, now: int, *others: str) -> int:
    """Epoch milliseconds of a time or an age as people write it.

    Times without a zone are UTC. Raises ValueError for anything else: it names the valid forms, and
    `others`, which the caller accepts too.
    """
    age = _AGE.fullmatch(text)
    if age is not None:
        moment = now - int(age[1]) * _UNITS[age[2]]
        return max(moment, 1)
    time = read_time(text)
    if time is None or time[0] <= 0:
        raise ValueError(f"{text!r} is not a valid time. Use {time_forms(*others)}.")
    return time[0]
