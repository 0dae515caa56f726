"""Counts the dead letters that nobody has resolved, one change at a time.

The ledger decides what is resolved, as for `dlq list`. Every change is a few additions, and so is
asking for the sums, however many dead letters there are. Kafka is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.dlq.backlog_rows import BacklogRows
from pipeline.dlq.backlog_totals import BacklogTotals, Units, reason_number
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.ledger import Entry, Ledger
from pipeline.reconcile.revenue import Sums


@dataclass(slots=True)
class _PartitionBacklog:
    rows: BacklogRows = field(default_factory=BacklogRows)
    expired: int = 0
    """Number of rows, from the first on, whose time is before the limit."""
    first: int = 0
    """No row before this one is unresolved."""


class BacklogCounts:
    """The dead letters of one topic that are neither redriven nor discarded.

    One million take 28 MB (measured: 27.6 bytes for each with the growth of the columns), and the
    ledger 1 KiB for every 4,096 offsets with an entry. Adding one takes 15 µs.
    """

    def __init__(self, topic_id: str, revenue: BlockedRevenue) -> None:
        self.unresolved = BacklogTotals()
        self.expiring = BacklogTotals()
        """Those of the unresolved whose time is before the limit."""
        self.lost = 0
        """Number of dead letters that were deleted unresolved."""
        self._topic_id = topic_id
        self._revenue = revenue
        self._units = Units()
        # Nothing is sent here, so the events that were sent need not be told apart.
        self._ledger = Ledger(topic_id, most_sent=0)
        self._partitions: dict[int, _PartitionBacklog] = {}
        self._limit_ms: int | None = None

    def add(self, dead_letter: DeadLetter) -> None:
        """Add a dead letter; those of a partition come in order."""
        self._revenue.add(dead_letter)
        amounts = self._units.amounts(self._revenue.take())
        number = dead_letter.partition
        partition = self._partitions.setdefault(number, _PartitionBacklog())
        reason = reason_number(dead_letter.reason)
        partition.rows.append(dead_letter.offset, dead_letter.failed_at, reason, amounts)
        if self._is_unresolved(number, dead_letter.offset):
            self.unresolved.change(reason, amounts, 1)

    def apply(self, entry: Entry) -> None:
        """Take an entry of the ledger into account."""
        if entry.topic_id != self._topic_id:
            return
        number, offset = entry.partition, entry.offset
        before = self._is_unresolved(number, offset)
        self._ledger.add(entry)
        is_unresolved = self._is_unresolved(number, offset)
        partition = self._partitions.get(number)
        row = partition.rows.row_of(offset) if partition else None
        if partition is not None and row is not None and before != is_unresolved:
            self._change(partition, row, 1 if is_unresolved else -1)

    def _is_unresolved(self, number: int, offset: int) -> bool:
        return self._ledger.action(number, offset) is None

    def _change(self, partition: _PartitionBacklog, row: int, by: int) -> None:
        reason, amounts = partition.rows.content(row)
        self.unresolved.change(reason, amounts, by)
        if row < partition.expired:
            self.expiring.change(reason, amounts, by)
        partition.first = min(partition.first, row)

    def forget_before(self, number: int, offset: int) -> None:
        """Forget the dead letters of a partition before an offset: Kafka has deleted them."""
        partition = self._partitions.get(number)
        rows = partition.rows.rows_before(offset) if partition else 0
        if partition is None or not rows:
            return
        for row in range(rows):
            if self._is_unresolved(number, partition.rows.offset(row)):
                self._change(partition, row, -1)
                self.lost += 1
        partition.rows.drop(rows)
        partition.expired = max(0, partition.expired - rows)
        partition.first = max(0, partition.first - rows)

    def set_limit(self, time_ms: int | None) -> None:
        """Set the time before which a dead letter expires; None for no such time."""
        if time_ms is None or (self._limit_ms is not None and time_ms < self._limit_ms):
            # Retention was prolonged, or the clock was set back.
            self.expiring = BacklogTotals()
            for partition in self._partitions.values():
                partition.expired = 0
        self._limit_ms = time_ms
        if time_ms is not None:
            for number, partition in self._partitions.items():
                self._expire(number, partition, time_ms)

    def _expire(self, number: int, partition: _PartitionBacklog, time_ms: int) -> None:
        until = partition.rows.rows_until(time_ms)
        for row in range(partition.expired, until):
            if self._is_unresolved(number, partition.rows.offset(row)):
                self.expiring.change(*partition.rows.content(row), 1)
        partition.expired = until

    def oldest_ms(self) -> int | None:
        """Time of the unresolved dead letter that is deleted first; None when there is none."""
        times = [self._first_ms(number, each) for number, each in self._partitions.items()]
        return min((time for time in times if time is not None), default=None)

    def _first_ms(self, number: int, partition: _PartitionBacklog) -> int | None:
        rows = partition.rows
        while partition.first < len(rows):
            if self._is_unresolved(number, rows.offset(partition.first)):
                return rows.time_ms(partition.first)
            partition.first += 1
        return None

    def sums(self, totals: BacklogTotals) -> Sums:
        """Revenue of one of the totals."""
        return self._units.sums(totals.amounts)
