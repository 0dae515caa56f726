"""One partition of the raw topic as Kafka describes it, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.core.ages import age_s, retention_left_s
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.kafka import PartitionOffsets
from pipeline.monitor.status import PartitionStatus


class ObservedPartition(NamedTuple):
    """What Kafka says about one partition."""

    number: int
    offsets: PartitionOffsets | None
    """None while nobody leads the partition."""
    committed: int | None
    """Committed offset of the group; None when it has none."""
    metadata: OffsetMetadata | None
    """Metadata of that offset, if a worker of this program wrote it."""
    member: str | None
    """Name of the member that has the partition."""

    def position(self, initial_offset: str) -> int | None:
        """Return the first offset that is not committed and still exists; None if not known."""
        if self.offsets is None:
            return None
        if self.committed is not None:
            return max(self.committed, self.offsets.begin)
        return self.offsets.begin if initial_offset == "earliest" else self.offsets.end

    @property
    def is_beyond_end(self) -> bool:
        """Whether the committed offset does not exist."""
        at, offsets = self.committed, self.offsets
        return at is not None and offsets is not None and at > offsets.end

    def status(
        self,
        position: int | None,
        timestamps: Mapping[int, int | None],
        retention_ms: int | None,
        now: int,
    ) -> PartitionStatus:
        """Return the status; `timestamps` has the oldest records of partitions that wait."""
        status = PartitionStatus(
            self.number,
            self.committed,
            None if self.offsets is None else self.offsets.end,
            lag_records=None,
            lag_seconds=None,
            contract="" if self.metadata is None else self.metadata.contract,
            committed_at=None if self.metadata is None else self.metadata.at,
            member=self.member,
        )
        if position is None or self.offsets is None or self.is_beyond_end:
            return status
        behind = self.offsets.end - position
        if not behind:
            return status.waiting(0, 0.0, None)
        if self.number not in timestamps:
            return status.waiting(behind, None, None)
        timestamp = timestamps[self.number]
        if timestamp is None:  # transaction markers and aborted records alone
            return status.waiting(0, 0.0, None)
        return status.waiting(
            behind, age_s(timestamp, now), retention_left_s(timestamp, retention_ms, now)
        )
