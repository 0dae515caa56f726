"""The dead letters of one partition, as columns of integers.

Resolved ones stay until retention deletes them, since they may be restored. A dead letter takes 23
bytes: 8 for its offset, 4 for its time, 1 for its reason, 10 for its revenue. One with several
amounts, or with one of more than 18 digits, takes some 300 more.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

from pipeline.dlq.backlog_totals import Amount

_SEVERAL: Final = 0xFFFF
"""Value in the column of units of a row whose amounts are in `several`."""
_LARGEST: Final = 2**63 - 1
_LAST_SECOND: Final = 2**32 - 1


class BacklogRows:
    """Columns with one row for each dead letter, in the order of the offsets."""

    def __init__(self) -> None:
        self._offsets = array("q")
        self._times = array("I")
        self._reasons = array("B")
        self._units = array("H")
        self._amounts = array("q")
        self._several: dict[int, tuple[Amount, ...]] = {}

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._offsets)

    def append(self, offset: int, time_ms: int, reason: int, amounts: tuple[Amount, ...]) -> None:
        """Add a dead letter behind all others.

        Kafka deletes a partition from its beginning on, so no dead letter is deleted before those
        in front of it: its time is the latest so far.
        """
        time = min(max(0, time_ms // 1000), _LAST_SECOND)
        self._times.append(max(time, self._times[-1]) if self._times else time)
        self._offsets.append(offset)
        self._reasons.append(reason)
        unit, amount = amounts[0] if amounts else (0, 0)
        if len(amounts) > 1 or unit >= _SEVERAL or abs(amount) > _LARGEST:
            self._several[offset] = amounts
            unit, amount = _SEVERAL, 0
        self._units.append(unit)
        self._amounts.append(amount)

    def row_of(self, offset: int) -> int | None:
        """Row of an offset; None when it has none."""
        row = self.rows_before(offset)
        return row if row < len(self._offsets) and self._offsets[row] == offset else None

    def rows_before(self, offset: int) -> int:
        """Number of rows with a smaller offset."""
        return bisect_left(self._offsets, offset)

    def rows_until(self, time_ms: int) -> int:
        """Number of rows with a time before this one, in whole seconds."""
        return bisect_left(self._times, time_ms // 1000)

    def offset(self, row: int) -> int:
        """Offset of a row."""
        return self._offsets[row]

    def time_ms(self, row: int) -> int:
        """Time of a row in epoch milliseconds, rounded down to a second."""
        return self._times[row] * 1000

    def content(self, row: int) -> tuple[int, tuple[Amount, ...]]:
        """Number of the reason, and the amounts of a row."""
        unit = self._units[row]
        if unit == _SEVERAL:
            return self._reasons[row], self._several[self._offsets[row]]
        return self._reasons[row], ((unit, self._amounts[row]),) if unit else ()

    def drop(self, rows: int) -> None:
        """Remove so many rows from the beginning."""
        if self._several:
            for offset in self._offsets[:rows]:
                self._several.pop(offset, None)
        for column in (self._offsets, self._times, self._reasons, self._units, self._amounts):
            del column[:rows]
