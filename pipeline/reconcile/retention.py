"""Outputs that retention may have deleted before their raw records."""

from __future__ import annotations

from pipeline.core.coordinates import Source
from pipeline.core.record import Record, Role
from pipeline.reconcile.ranges import Plan


class Cuts:
    """Knows from which raw offset on outputs are left, where their partitions are cut.

    Outputs of a raw partition are in the order of its offsets.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._first_left: dict[tuple[int, str, int], int] = {}
        """Raw partition, role and output partition → the first raw offset with an output."""

    def note(self, record: Record, role: Role, source: Source) -> None:
        """An output that is still there."""
        if source.topic != self._plan.raw_topic:
            return
        if self._plan.outputs[record.topic, record.partition].is_cut:
            stream = source.partition, role.value, record.partition
            self._first_left[stream] = min(
                source.offset, self._first_left.get(stream, source.offset)
            )

    def may_hide(self, raw_partition: int, offset: int, role: str, target: int) -> bool:
        """Whether a raw record's output may be deleted; `target` is the partition it was in."""
        cut = self._plan.outputs.get((self._plan.topics.get(Role(role), ""), target))
        if cut is None or not cut.is_cut:
            return False
        first = self._first_left.get((raw_partition, role, target))
        return first is None or offset < first
