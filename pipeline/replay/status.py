"""How far a replay is, and what became of its records so far, by the offsets of its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.counts import OutcomeCounts
from pipeline.core.replay_checkpoint import ReplayCheckpoint, latest_checkpoint
from pipeline.core.timestamps import format_time
from pipeline.kafka import PartitionProgress, ReplayOffsets, last_checkpoints
from pipeline.replay.plan import ReplayPlan
from pipeline.settings.model import Settings


@dataclass(frozen=True)
class ReplayStatus:
    """One replay at one moment."""

    plan: ReplayPlan
    positions: Mapping[int, int]
    """Partition → the next offset; partitions without a committed offset are left out."""
    by_slot: Mapping[int, OutcomeCounts]
    owner: ReplayCheckpoint | None
    """The last process that has worked on it; None when none has, or its offsets are gone."""

    @property
    def done(self) -> int:
        """The number of offsets that are behind it."""
        starts = {part.partition: part.start for part in self.plan.parts}
        return sum(at - starts[number] for number, at in self.positions.items())

    @property
    def totals(self) -> OutcomeCounts:
        """The counts of all slots together."""
        return sum(self.by_slot.values(), OutcomeCounts())

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

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        totals = self.totals
        return {
            "records": totals.records,
            "left_out": totals.left_out,
            "enriched": totals.enriched,
            "identify": totals.identify,
            "dead_letters": totals.rejected,
            "reasons": totals.dead_letters,
            "dropped": totals.dropped,
            "forwarded": totals.forwarded,
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


class StatusReader:
    """Asks Kafka how far a replay is, as often as one likes. It joins no group."""

    def __init__(self, settings: Settings, plan: ReplayPlan, *, stable: bool = False) -> None:
        """`stable` waits for transactions of the replay that are open or being committed."""
        self._plan = plan
        self._offsets = replay_offsets(settings, plan, stable=stable)

    def read(self) -> ReplayStatus:
        """Return the status of now; TransportError."""
        return status_of(self._plan, self._offsets.read(self._plan.partitions))


def replay_offsets(settings: Settings, plan: ReplayPlan, *, stable: bool) -> ReplayOffsets:
    """Make a reader of the offsets that the replay's group has committed."""
    return ReplayOffsets(
        settings.kafka, plan.group, plan.progress_topic, settings.startup_timeout_s, stable=stable
    )


def status_of(plan: ReplayPlan, found: Mapping[int, PartitionProgress]) -> ReplayStatus:
    """Make a status of committed offsets and what stands beside them."""
    notes = last_checkpoints(found, plan.slots)
    by_slot = {
        slot: OutcomeCounts() if note is None else note.totals for slot, note in notes.items()
    }
    owner = latest_checkpoint(at.note for at in found.values())
    return ReplayStatus(plan, {number: at.offset for number, at in found.items()}, by_slot, owner)
