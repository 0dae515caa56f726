"""Outputs that retention may have deleted while their raw records still exist."""

from __future__ import annotations

from pipeline.core.coordinates import Source
from pipeline.core.record import Record, Role
from pipeline.reconcile.ranges import AuditRanges


class RetentionGaps:
    """Knows the first raw offset whose output is left, where an output partition was shortened.

    It relies on outputs of one raw partition being in the order of its offsets.
    """

    def __init__(self, ranges: AuditRanges) -> None:
        self._ranges = ranges
        self._first_left: dict[tuple[int, str, int], int] = {}
        """Raw partition, role and output partition → the first raw offset with an output."""

    def note(self, record: Record, role: Role, source: Source) -> None:
        """Take note of an output that still exists."""
        if source.topic != self._ranges.raw_topic:
            return
        if self._ranges.outputs[record.topic, record.partition].has_gap:
            stream = source.partition, role.value, record.partition
            self._first_left[stream] = min(
                source.offset, self._first_left.get(stream, source.offset)
            )

    def may_hide(self, raw_partition: int, offset: int, role: str, out_partition: int) -> bool:
        """Whether a raw record's output in `out_partition` may have been deleted."""
        part = self._ranges.outputs.get((self._ranges.topics.get(Role(role), ""), out_partition))
        if part is None or not part.has_gap:
            return False
        first = self._first_left.get((raw_partition, role, out_partition))
        return first is None or offset < first
