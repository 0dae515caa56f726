"""A window of time, as people write it: `2026-11-01`, `2026-11-01T12:00Z`, `3d`."""

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
_AGO: Final = re.compile(r"-?([0-9]{1,9})([smhdw])")
FORMS: Final = "2026-11-01, 2026-11-01T12:00Z or 3d (ago: s, m, h, d or w)"


class Window(NamedTuple):
    """From `start` on, before `end`: Kafka timestamps, epoch milliseconds; None is no bound."""

    start: int | None = None
    end: int | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether any record may be outside."""
        return self.start is not None or self.end is not None

    def holds(self, timestamp: int | None) -> bool:
        """Whether a record of this time is inside; one without a time only when all are."""
        if timestamp is None:
            return not self.is_bounded
        return (self.start is None or self.start <= timestamp) and (
            self.end is None or timestamp < self.end
        )

    def text(self) -> str:
        """As a sentence has it; empty when there is no bound."""
        start = "" if self.start is None else f"from {format_time(self.start)}"
        end = "" if self.end is None else f"before {format_time(self.end)}"
        return " ".join(filter(None, (start, end)))


ALL_TIME: Final = Window()


def read_moment(text: str, now: int) -> int:
    """Epoch milliseconds of a moment as people write it.

    Times without a zone are UTC. Raises ValueError, with the forms that are known, for others.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        moment = now - int(ago[1]) * _UNITS[ago[2]]
        return max(moment, 1)
    time = read_time(text)
    if time is None or time[0] <= 0:
        raise ValueError(f"{text!r} is no time after 1970, such as {FORMS}")
    return time[0]
