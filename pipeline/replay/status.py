"""How far a replay is, and what became of its records so far, by the offsets of its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.replay_checkpoint import ReplayNote, Totals, newest
from pipeline.core.timestamps import format_time
from pipeline.kafka import PartitionProgress, last_checkpoints
from pipeline.replay.plan import Plan


@dataclass(frozen=True)
class Standing:
    """Of one replay at one moment."""

    plan: Plan
    positions: Mapping[int, int]
    """Partition → the next offset; partitions without one are left out."""
    by_slot: Mapping[int, Totals]
    owner: ReplayNote | None
    """The last process that has worked on it; None: none has, or the offsets are gone."""

    @property
    def done(self) -> int:
        """Offsets that are behind it."""
        starts = {part.partition: part.start for part in self.plan.parts}
        return sum(at - starts[number] for number, at in self.positions.items())

    @property
    def totals(self) -> Totals:
        """Of all slots."""
        totals = Totals()
        for each in self.by_slot.values():
            totals = totals.plus(each)
        return totals

    @property
    def is_finished(self) -> bool:
        """Whether everything was replayed."""
        return all(map(self._has_ended, range(self.plan.slots)))

    def _has_ended(self, slot: int) -> bool:
        most = self.plan.most_of(slot)
        if most is not None and self.by_slot[slot].records >= most:
            return True
        parts = self.plan.of_slot(slot)
        return all(self.positions.get(part.partition) == part.end for part in parts)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        totals = self.totals
        return {
            "records": totals.records,
            "left_out": totals.left_out,
            "enriched": totals.enriched,
            "identify": totals.identify,
            "dead_letters": totals.refused,
            "reasons": totals.dead_letters,
            "dropped": totals.dropped,
            "finished": self.is_finished,
            "partitions": [
                {
                    "partition": part.partition,
                    "start": part.start,
                    "position": self.positions.get(part.partition),
                    "end": part.end,
                }
                for part in self.plan.parts
            ],
            "owner": None
            if self.owner is None
            else {"who": self.owner.who, "since": format_time(self.owner.since)},
        }


def standing(plan: Plan, found: Mapping[int, PartitionProgress]) -> Standing:
    """Made of the offsets that were found."""
    notes = last_checkpoints(found, plan.slots)
    by_slot = {slot: Totals() if note is None else note.totals for slot, note in notes.items()}
    owner = newest(at.note for at in found.values())
    return Standing(plan, {number: at.offset for number, at in found.items()}, by_slot, owner)
