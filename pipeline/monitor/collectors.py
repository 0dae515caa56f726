"""The parts of a look: each reads something from the cluster, and returns metrics of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pipeline.core.record import Role
from pipeline.kafka import Admin
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Counts, Samples
from pipeline.monitor.cluster import ClusterMonitor
from pipeline.monitor.status import RAW_ROLE, ClusterStatus
from pipeline.replay.plan import PlanRecord, State
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.status import StatusReader
from pipeline.settings.model import Settings
from pipeline.topics import PLANS_TOPIC
from pipeline.wiring import admin

_UNFINISHED: Final = frozenset({State.PLANNED, State.STARTED})


@dataclass(frozen=True)
class Collected:
    """What one collector has found in one look."""

    samples: Samples
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Figures for the line of the log, by name."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """All of it as JSON values."""
    notices: tuple[str, ...] = ()
    """Sentences about what is wrong, or not known."""


class Collector(Protocol):
    """One part of each look. Raises TransportError; RefusedError means that it will not change."""

    def collect(self) -> Collected:
        """Look once."""

    def close(self) -> None:
        """Release the clients."""


class ClusterCollector:
    """The group, its lag, and open transactions."""

    def __init__(self, settings: Settings) -> None:
        self._monitor = ClusterMonitor(settings)
        self._roles = [RAW_ROLE, Role.ENRICHED.value, Role.DEAD_LETTER.value]

    def collect(self) -> Collected:
        """See `Collector`."""
        status = self._monitor.look()
        fields = {
            "members": len(status.members),
            "lag_records": status.lag_records,
            "lag_seconds": round(status.lag_seconds, 1),
            "retention_seconds": status.retention_seconds,
            "open_transactions": len(status.open_transactions),
        }
        return Collected(self._samples(status), fields, status.to_dict(), tuple(status.notices))

    def _samples(self, status: ClusterStatus) -> Samples:
        counts = Counts()
        counts.put(Metric.WATCH_MEMBERS, len(status.members))
        for role in self._roles:
            counts.put(Metric.WATCH_OPEN_TRANSACTIONS, status.open_in(role), role)
        for each in status.partitions:
            number = str(each.partition)
            for metric, value in (
                (Metric.WATCH_LAG_RECORDS, each.lag_records),
                (Metric.WATCH_LAG_SECONDS, each.lag_seconds),
                (Metric.WATCH_RETENTION_SECONDS, each.retention_seconds),
            ):
                if value is not None:  # what is not known is absent
                    counts.put(metric, value, number)
        return counts.samples()

    def close(self) -> None:
        """See `Collector`."""
        self._monitor.close()


class ReplayCollector:
    """Progress of replays that are not finished. Plans are read again only when there are news."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster: Admin = admin(settings)
        self._plans = PlanStore(settings)
        self._extents: Mapping[int, tuple[int, int]] = {}
        self._unfinished: Mapping[str, PlanRecord] = {}
        self._readers: dict[str, StatusReader] = {}

    def collect(self) -> Collected:
        """See `Collector`."""
        self._refresh()
        counts = Counts()
        for id_, record in self._unfinished.items():
            done = self._reader(record).read().done
            counts.put(Metric.WATCH_REPLAY_TOTAL, record.plan.offsets, id_)
            counts.put(Metric.WATCH_REPLAY_REMAINING, record.plan.offsets - done, id_)
        if not self._unfinished:
            return Collected({})
        found = {"replays": sorted(self._unfinished)}
        return Collected(counts.samples(), found, found)

    def _refresh(self) -> None:
        if PLANS_TOPIC not in self._cluster.topics([PLANS_TOPIC]):
            self._extents, self._unfinished = {}, {}
            return
        extents = self._cluster.extents(PLANS_TOPIC, stable=True)
        if extents != self._extents:
            plans = self._plans.all()
            self._unfinished = {
                id_: each for id_, each in plans.items() if each.state in _UNFINISHED
            }
            self._extents = extents
        self._readers = {
            id_: each for id_, each in self._readers.items() if id_ in self._unfinished
        }

    def _reader(self, record: PlanRecord) -> StatusReader:
        id_ = record.plan.id
        if id_ not in self._readers:
            self._readers[id_] = StatusReader(self._settings, record.plan)
        return self._readers[id_]

    def close(self) -> None:
        """See `Collector`."""
        self._readers.clear()
