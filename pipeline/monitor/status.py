"""How a pipeline is at one moment, as the cluster shows it: values, and limits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from pipeline.core.coordinates import format_partitions
from pipeline.core.timestamps import format_time
from pipeline.kafka import Member

RAW_ROLE: Final = "raw"
"""Role of the raw topic; those of outputs are `core.record.Role`."""


@dataclass(frozen=True)
class PartitionStatus:
    """One partition of the raw topic, and how far the group is. None is what is not known."""

    partition: int
    committed: int | None
    """Committed offset; None when the group has none."""
    end: int | None
    """Offset of the next record; None when the partition has no leader."""
    lag_records: int | None
    """Offsets from the committed one to the end; 0 when there is no record among them."""
    lag_seconds: float | None
    """Age of the oldest record that is not committed; 0 when there is none."""
    retention_seconds: float | None = None
    """Time until retention may delete that record; None also when it never does."""
    contract: str = ""
    """Contract of the last commit, `version;hash`; empty when it is not known."""
    committed_at: int | None = None
    """Time of the last commit, epoch milliseconds."""
    member: str | None = None
    """Name of the member that has the partition."""

    def waiting(
        self, records: int, seconds: float | None, retention_s: float | None
    ) -> PartitionStatus:
        """Return the status with a lag."""
        return replace(
            self, lag_records=records, lag_seconds=seconds, retention_seconds=retention_s
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        at = self.committed_at
        return {**asdict(self), "committed_at": None if at is None else format_time(at)}


class BreakerWatch(NamedTuple):
    """What the last commit says about the circuit breaker."""

    left: int
    """Number of events that it still watches after a change; 0 when it is not armed."""
    invalid: int
    """Number of rejected events among those watched so far."""
    usual: float
    """Usual share of rejected events, 0 to 1."""


class OpenTransaction(NamedTuple):
    """An open transaction in a partition: nobody can read the records behind its first."""

    role: str
    """Role of the topic: raw, enriched, dead_letter, identify or other."""
    topic: str
    partition: int
    offset: int
    """Offset of its first record."""
    seen_since: int
    """Since when it has been seen, epoch milliseconds."""


@dataclass(frozen=True)
class ClusterStatus:
    """A pipeline as the cluster shows it."""

    at: int
    """Time of the look, epoch milliseconds."""
    group: str
    topic: str
    """Name of the raw topic."""
    state: str
    """Kafka's name of the group's state, such as STABLE."""
    members: Sequence[Member]
    partitions: Sequence[PartitionStatus]
    open_transactions: Sequence[OpenTransaction] = ()
    breaker: BreakerWatch | None = None
    """None when no commit says anything about it."""
    notices: Sequence[str] = ()
    """Sentences about what is wrong, or not known."""

    @property
    def lag_records(self) -> int:
        """Sum of the lags that are known."""
        return sum(each.lag_records or 0 for each in self.partitions)

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest record that is not committed, as far as it is known."""
        return max((each.lag_seconds or 0.0 for each in self.partitions), default=0.0)

    @property
    def retention_seconds(self) -> float | None:
        """Shortest time until retention may delete a record that is not committed."""
        known = [each.retention_seconds for each in self.partitions]
        return min((each for each in known if each is not None), default=None)

    @property
    def contracts(self) -> Mapping[str, int]:
        """Number of partitions by contract of the last commit, without those of unknown ones."""
        found: dict[str, int] = {}
        for each in self.partitions:
            if each.contract:
                found[each.contract] = found.get(each.contract, 0) + 1
        return found

    @property
    def last_commit_at(self) -> int | None:
        """Time of the last commit, epoch milliseconds."""
        return max(
            (each.committed_at for each in self.partitions if each.committed_at), default=None
        )

    def open_in(self, role: str) -> int:
        """Return the number of partitions of a topic that have an open transaction."""
        return sum(each.role == role for each in self.open_transactions)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        last = self.last_commit_at
        return {
            "at": format_time(self.at),
            "group": self.group,
            "topic": self.topic,
            "state": self.state,
            "lag_records": self.lag_records,
            "lag_seconds": self.lag_seconds,
            "retention_seconds": self.retention_seconds,
            "last_commit_at": None if last is None else format_time(last),
            "contracts": dict(self.contracts),
            "breaker": None if self.breaker is None else self.breaker._asdict(),
            "members": [
                {
                    "name": each.name,
                    "client": each.client,
                    "host": each.host.removeprefix("/"),
                    "partitions": sorted(each.partitions),
                }
                for each in self.members
            ],
            "partitions": [each.to_dict() for each in self.partitions],
            "open_transactions": [
                {**each._asdict(), "seen_since": format_time(each.seen_since)}
                for each in self.open_transactions
            ],
            "notices": list(self.notices),
        }


class StatusLimits(NamedTuple):
    """What makes a check of the status fail; None is no limit."""

    lag_records: int | None = None
    lag_seconds: float | None = None
    needs: Literal["ready", "live"] = "ready"
    """What a worker that is asked at its endpoint has to be."""

    def exceeded(self, status: ClusterStatus) -> list[str]:
        """Return a sentence for each limit that is exceeded, or can't be checked."""
        unknown = [each.partition for each in status.partitions if each.lag_records is None]
        ageless = [each.partition for each in status.partitions if each.lag_seconds is None]
        found = []
        if self.lag_records is not None and unknown:
            found.append(f"the lag is not known for {format_partitions(unknown)}")
        if self.lag_seconds is not None and ageless:
            found.append(
                f"the age of the oldest record is not known for {format_partitions(ageless)}"
            )
        return found + self.exceeded_by(status.lag_records, status.lag_seconds)

    def exceeded_by(self, lag_records: int | None, lag_seconds: float | None) -> list[str]:
        """Return a sentence for each limit that these lags exceed; None is an unknown lag."""
        found = []
        if self.lag_records is not None:
            if lag_records is None:
                found.append("the lag is not known")
            elif lag_records > self.lag_records:
                found.append(f"{lag_records:,} records wait; the limit is {self.lag_records:,}")
        if self.lag_seconds is not None:
            if lag_seconds is None:
                found.append("the age of the oldest record is not known")
            elif lag_seconds > self.lag_seconds:
                found.append(
                    f"the oldest record waits for {lag_seconds:,.1f} s; the limit is "
                    f"{self.lag_seconds:g} s"
                )
        return found
