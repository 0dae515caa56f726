"""Looks at a pipeline from outside: its group, its topics, and the records that wait.

Guarantees
    Joins no group, commits and writes nothing. A look that fails returns no part of a status, and
    the next one starts afresh. Committed offsets are read before the ends of partitions, so a lag
    is never negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata
from pipeline.errors import RefusedError
from pipeline.kafka import GroupDescription, OldestRecords, PartitionOffsets
from pipeline.monitor.notices import notices_of, standing
from pipeline.monitor.observed_partition import ObservedPartition
from pipeline.monitor.status import RAW_ROLE, BreakerWatch, ClusterStatus, OpenTransaction
from pipeline.ports import Clock
from pipeline.preflight import require_topics
from pipeline.settings.model import Settings
from pipeline.topics import kept_ms
from pipeline.wiring import WallClock, admin, topic_names


class ClusterMonitor:
    """Looks at the pipeline of these settings, as often as one likes. For one thread."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._group, self._topic = settings.group, settings.topics.raw
        self._clock = clock or WallClock()
        self._cluster = admin(settings)
        self._description = GroupDescription(settings.kafka, self._group, self._topic)
        self._oldest = OldestRecords(settings.kafka, self._topic)
        self._open: dict[tuple[str, int], OpenTransaction] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the clients."""
        self.close()

    def close(self) -> None:
        """Release the clients."""
        self._oldest.close()

    def look(self) -> ClusterStatus:
        """Return the status of now. TransportError, also when a topic does not exist."""
        names = topic_names(self._settings)
        facts = self._cluster.topics(names)
        require_topics(self._settings, facts)
        group = self._description.read(self._settings.startup_timeout_s)
        members = {number: each.name for each in group.members for number in each.partitions}
        committed = self._cluster.committed_with_metadata(self._group, self._topic)
        offsets = self._cluster.partition_offsets(self._topic)
        raw = [
            ObservedPartition(
                number,
                each,
                *_committed(committed.get(number)),
                members.get(number),
            )
            for number, each in offsets.items()
        ]
        outputs = {
            role.value: self._cluster.partition_offsets(name)
            for role, name in names.outputs(self._settings).items()
            if facts[name].partitions
        }
        timestamps, notices = self._timestamps(raw)
        now, kept = self._clock.now(), kept_ms(facts[self._topic])
        retention_ms = kept if kept > 0 else None
        initial = self._settings.initial_offset
        partitions = [
            each.status(each.position(initial), timestamps, retention_ms, now) for each in raw
        ]
        return ClusterStatus(
            at=now,
            group=self._group,
            topic=self._topic,
            state=group.state,
            members=group.members,
            partitions=partitions,
            open_transactions=self._open_transactions({RAW_ROLE: offsets, **outputs}, now),
            breaker=_breaker([each.metadata for each in raw if each.metadata is not None]),
            notices=(
                *notices_of(group, self._settings, raw, facts),
                *standing(partitions, now),
                *notices,
            ),
        )

    def _timestamps(
        self, raw: Sequence[ObservedPartition]
    ) -> tuple[Mapping[int, int | None], Sequence[str]]:
        """Return timestamps of the oldest records that wait, and why there are none."""
        positions = {
            each.number: position
            for each in raw
            if each.offsets is not None
            and (position := each.position(self._settings.initial_offset)) is not None
            and position < each.offsets.end
        }
        try:
            return self._oldest.timestamps(positions), ()
        except RefusedError as error:
            return {}, (f"the age of the oldest record is not known: {error}",)

    def _open_transactions(
        self, topics: Mapping[str, Mapping[int, PartitionOffsets | None]], now: int
    ) -> list[OpenTransaction]:
        names = self._settings.topics.model_dump()
        found = [
            OpenTransaction(role, names[role], number, each.readable, now)
            for role, partitions in topics.items()
            for number, each in partitions.items()
            if each is not None and each.readable < each.end
        ]
        before = self._open
        self._open = {
            (each.topic, each.partition): _same(before.get((each.topic, each.partition)), each)
            for each in found
        }
        return list(self._open.values())


def _same(before: OpenTransaction | None, now: OpenTransaction) -> OpenTransaction:
    """Return the transaction with the time since which it has been seen."""
    return before if before is not None and before.offset == now.offset else now


def _committed(found: tuple[int, str] | None) -> tuple[int | None, OffsetMetadata | None]:
    return (None, None) if found is None else (found[0], read_offset_metadata(found[1]))


def _breaker(metadata: Sequence[OffsetMetadata]) -> BreakerWatch | None:
    """Return what the newest commit says; older ones belong to idle partitions."""
    if not metadata:
        return None
    newest = max(metadata, key=lambda each: each.at)
    return BreakerWatch(newest.left, newest.bad, newest.base)
