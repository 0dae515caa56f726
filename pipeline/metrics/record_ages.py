"""How long records have been waiting: the age of the oldest one of each partition.

A worker knows the timestamps of records that it has read. For a partition from which nothing has
arrived yet, the age counts from the moment at which the lag was first seen, until its oldest record
has been looked up (`look_up`). So gaps, transaction markers and aborted records, which have offsets
but are never delivered, count for no longer than it takes to commit the position behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.core.ages import age_s
from pipeline.core.record import Record
from pipeline.ports import Lag

_LOOKED_UP_AFTER_MS: Final = 5_000
"""For so long the worker will usually have read a waiting record itself."""


class _Waiting(NamedTuple):
    position: int
    """Committed position."""
    since: int
    """Epoch milliseconds at which a lag behind this position was first seen."""


class RecordAges:
    """Ages of the oldest records that are not committed, by partition. Times are epoch ms."""

    def __init__(self) -> None:
        self._read: dict[int, int] = {}
        """Timestamps of the oldest records that were read and are not committed."""
        self._waiting: dict[int, _Waiting] = {}
        self._found: dict[tuple[int, int], int | None] = {}
        """Timestamps that were looked up, by partition and position."""

    def collected(self, records: Sequence[Record], now: int) -> None:
        """Note records that were read."""
        for record in records:
            if record.partition not in self._read:
                timestamp = record.timestamp or 0
                self._read[record.partition] = timestamp if timestamp > 0 else now

    def committed(self, partitions: Iterable[int]) -> None:
        """Note that what was read of these partitions is committed."""
        for number in partitions:
            self._read.pop(number, None)
            self._waiting.pop(number, None)

    def forget(self) -> None:
        """Forget everything: a session was closed."""
        self._read.clear()
        self._waiting.clear()

    def lagging(self, lag: Lag, now: int) -> None:
        """Note the lag of the assigned partitions."""
        known = lag.by_partition
        self._read = {number: at for number, at in self._read.items() if number in known}
        before = self._waiting
        self._waiting = {}
        for number, each in known.items():
            if each.offsets:
                old = before.get(number)
                is_same = old is not None and old.position == each.position
                # Where the clock was set back, it counts from the earlier time.
                since = min(old.since, now) if old and is_same else now
                self._waiting[number] = _Waiting(each.position, since)
        self._found = {
            place: at
            for place, at in self._found.items()
            if place[0] in self._waiting and self._waiting[place[0]].position == place[1]
        }

    def to_look_up(self, now: int) -> dict[int, int]:
        """Return positions of partitions whose oldest record only a look at the topic reveals.

        They are looked up again and again: an open transaction may be aborted, and a record may
        arrive where there was none.
        """
        return {
            number: each.position
            for number, each in self._waiting.items()
            if number not in self._read and now - each.since >= _LOOKED_UP_AFTER_MS
        }

    def found(self, positions: Mapping[int, int], timestamps: Mapping[int, int | None]) -> None:
        """Note what was looked up: timestamps of the first records from these positions on.

        None stands for no record at all behind the position.
        """
        for number, position in positions.items():
            if number in timestamps:
                self._found[number, position] = timestamps[number]

    def ages(self, now: int) -> dict[int, float]:
        """Return the ages in seconds; 0 for partitions where nothing waits.

        Never below 0: clocks differ, and senders may set timestamps in the future.
        """
        found = {number: self._since(number, each, now) for number, each in self._waiting.items()}
        found |= self._read
        return {number: age_s(at, now) for number, at in found.items()}

    def _since(self, number: int, waiting: _Waiting, now: int) -> int:
        place = (number, waiting.position)
        if place not in self._found:
            return waiting.since
        timestamp = self._found[place]
        return now if timestamp is None else timestamp
