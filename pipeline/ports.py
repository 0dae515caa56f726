"""Everything the worker and the tools need from outside, as small protocols.

The Kafka implementations are in `kafka`, the in-memory ones in `worker.memory_broker`. What they
raise is in `errors.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output, Record

Positions = Mapping[tuple[str, int], int]
"""Maps (topic, partition) to the offset of the next record to read."""


class CircuitBreakerTrip(NamedTuple):
    """Why the circuit breaker opened: after a change, far more events were rejected than before."""

    contract: str
    """Contract that is running. Setting `breaker.accept` to its hash closes the breaker."""
    before: str
    """Contract that ran before; empty when unknown."""
    invalid: int
    """Number of rejected events among those that were watched."""
    watched: int
    """Number of events that were watched since the change."""
    base: float
    """Usual share of rejected events, 0 to 1."""
    reasons: Mapping[str, int]
    """Number of rejected events by reason code."""

    def sentence(self) -> str:
        """Return one sentence for the operator: what happened, and what to do."""
        reasons = ", ".join(f"{code} {number}" for code, number in self.top())
        change = f"{self.before} → {self.contract}" if self.before else self.contract
        return (
            f"the circuit breaker is open: {self.invalid} of {self.watched} events would be "
            f"rejected ({self.invalid / self.watched:.1%}, usually {self.base:.1%}) after a change "
            f"of the contract or its settings ({change}): {reasons}. None of them was written. "
            "Undo the change, or accept it with breaker.accept="
            f"{self.contract.partition(';')[2]}"
        )

    def top(self) -> list[tuple[str, int]]:
        """Return the most frequent reasons, at most five."""
        return Counter(self.reasons).most_common(5)


class Batch(NamedTuple):
    """The records and positions that one transaction covers."""

    records: list[Record]
    positions: Positions
    """Positions to commit, one for each partition that has advanced: behind its last record, or
    behind transaction markers and aborted records that follow it. A batch may have positions
    without records."""
    inherited: Sequence[OffsetMetadata] = ()
    """Metadata of the committed offsets of partitions that were assigned since the last batch."""
    lost: int = 0
    """Number of records deleted before they were read, since the last batch."""
    waited_s: float = 0.0
    """Time that was spent waiting for records, seconds."""


class PartitionLag(NamedTuple):
    """How far a session is behind the end of one partition."""

    position: int
    """Committed position."""
    end: int
    """High watermark."""

    @property
    def offsets(self) -> int:
        """Offsets between both."""
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a session is behind the end of its topic."""

    partitions: int
    """Number of partitions that are assigned to the session."""
    offsets: int
    """Offsets between the committed positions and the ends of those partitions."""
    by_partition: Mapping[int, PartitionLag] = field(default_factory=dict, compare=False)
    """The same for each partition, where it is known."""

    @classmethod
    def between(cls, positions: Mapping[int, int], ends: Mapping[int, int]) -> Lag:
        """Return the lag of positions behind the ends of the same partitions."""
        found = {number: PartitionLag(at, ends[number]) for number, at in positions.items()}
        return cls(len(found), sum(each.offsets for each in found.values()), found)


class CommittedBatch(NamedTuple):
    """What one committed transaction covers."""

    counts: OutcomeCounts
    records: Sequence[Record]
    revenue: Mapping[str, float]
    """Revenue of its enriched events by currency; amounts below zero are not in it."""
    blocked_revenue: Mapping[str, float]
    """The same of its dead letters."""
    commit_s: float
    """Duration of the commit, seconds."""
    expected: int = 0
    """Number of events in the records, counted apart from their outcomes."""


class ClientFigures(NamedTuple):
    """Statistics of one Kafka client, from the last interval unless they are counts."""

    round_trip_s: float = 0.0
    """Round trip to the slowest broker, 99th percentile."""
    queue_records: int = 0
    queue_bytes: int = 0
    throttle_s: float = 0.0
    """Longest time that a broker's quota delayed an answer."""
    errors: Mapping[str, int] = {}
    """Number of errors since the start by kind: transmit, receive, timeout, disconnect."""
    retries: int = 0
    """Number of requests that were sent again since the start."""


class ClientStatistics(Protocol):
    """Statistics of the Kafka clients of all sessions. Any thread may ask for them."""

    def figures(self) -> Mapping[str, ClientFigures]:
        """Return the figures by client: consumer, producer."""

    def rotations(self) -> int:
        """Return how many producers were replaced within a session since the start."""


class Span(NamedTuple):
    """A range of offsets of one partition, both ends included."""

    topic: str
    partition: int
    first: int
    last: int


class TopicSpec(NamedTuple):
    """The definition by which a topic is created."""

    name: str
    partitions: int
    replication: int
    """Replication factor; -1 takes the broker's default."""
    config: Mapping[str, str]


class TopicFacts(NamedTuple):
    """A topic as the cluster reports it."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    """Effective topic settings, such as `max.message.bytes`. All values are text."""
    operations: frozenset[str] | None = None
    """Operations that this client may perform, by Kafka's names such as READ; None when the broker
    does not report them. An empty set means that the topic is hidden from this client, and may not
    even exist."""
    id: str = ""
    """Kafka's topic id, which changes when a topic is deleted and created again. Empty on clusters
    without topic ids."""
    in_sync: int | None = None
    """Number of in-sync replicas of the partition that has the fewest; None when not requested."""

    def allows(self, operation: str) -> bool:
        """Return whether this client may perform an operation, as far as the broker reports it."""
        return self.operations is None or operation in self.operations

    def number(self, setting: str, default: int) -> int:
        """Return a numeric topic setting."""
        return int(self.config.get(setting, default))


class Session(Protocol):
    """One consumer and one producer that are opened and closed together.

    Every method except `close` may raise any TransportError.
    """

    def collect(self) -> Batch:
        """Read until the batch is full by records, bytes or time. No transaction is open meanwhile.

        A batch without records has positions only when they have advanced.
        """

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Add one output to the transaction. TooLargeError leaves the transaction unharmed."""

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """Commit the outputs and the positions atomically; the note becomes offset metadata.

        The counts counts the outcomes in this transaction.
        """

    def abort(self) -> None:
        """Abort the transaction."""

    def rewind(self, batch: Batch) -> None:
        """Seek back to the first record of each partition of an aborted batch."""

    def pause(self, seconds: float) -> None:
        """Stay in the group without reading. Afterwards the session can only be closed."""

    def lag(self) -> Lag | None:
        """Return the lag; None when it can't be determined. Waits for a moment at most."""

    def assigned(self) -> Collection[int]:
        """Return the numbers of the partitions that are assigned to this session."""

    def close(self) -> None:
        """Leave the group and release both clients. Never raises."""


class Broker(Protocol):
    """Opens sessions. Each starts from the committed positions."""

    def open(self) -> Session:
        """Open a session. An older one with the same transactional id is fenced."""


Ranges = Mapping[tuple[str, int], tuple[int, int]]
"""Maps (topic, partition) to the first offset and the one after the last."""


class Reader(Protocol):
    """Reads ranges of topics with read_committed isolation. Joins no group and commits nothing."""

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """Yield every record in the ranges, in order within each partition; partitions interleave.

        Waits for transactions that are still open within a range. Raises TransportError.
        """


class Clock(Protocol):
    """The only source of wall-clock time."""

    def now(self) -> int:
        """Return the current time in epoch milliseconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations."""


class Stop(Protocol):
    """A request to stop. threading.Event is one."""

    def is_set(self) -> bool:
        """Return whether a stop was requested."""

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds, or until a stop is requested."""


class CrashGuard(Protocol):
    """Remembers outside this process which records it is processing, since one may kill it.

    Never raises. Without a supervisor nothing is remembered, and there are no suspects.
    """

    def started(self, spans: Sequence[Span]) -> None:
        """Note that these records are being processed from now on."""

    def finished(self) -> None:
        """Note that no record is being processed."""

    def suspects(self) -> Sequence[Span]:
        """Return spans in which one record has crashed a process; they are bisected."""

    def quarantined(self) -> Sequence[Span]:
        """Return spans to dead-letter unprocessed: poison pills, and what the operator named."""


class Stall(NamedTuple):
    """A reason why the worker makes no progress."""

    cause: str
    """One sentence: what is wrong, where, and what resolves it. The text stays the same while
    nothing changes, so it contains no growing number."""
    harmless: bool = False
    """Whether nothing is wrong: the worker is idle because it has no partitions."""


class RecordFinder(Protocol):
    """Finds records that wait behind committed positions."""

    def timestamps(self, positions: Mapping[int, int]) -> Mapping[int, int | None]:
        """Return the Kafka timestamp of the oldest record by partition; None when nothing waits.

        A partition of which nothing is known is left out. May take seconds, and raise any
        TransportError.
        """


class StallMonitor(Protocol):
    """Finds out, in a thread beside the loop, why the worker makes no progress."""

    def look(self) -> Stall | None:
        """Return the current stall, or None. Never raises; takes a few seconds at most."""


Phase = Literal["wait", "read", "process", "send", "commit"]
"""A phase of the worker's loop; `wait` is waiting for records."""


class Meter(Protocol):
    """Is notified of what the worker does, to count and log it. Never raises."""

    def spent(self, phase: Phase, seconds: float) -> None:
        """Add up the time of a phase."""

    def collected(self, records: Sequence[Record]) -> None:
        """Note records that were read and are not committed yet."""

    def committed(self, batch: CommittedBatch) -> None:
        """Count a committed transaction."""

    def aborted(self) -> None:
        """Count an aborted transaction."""

    def tick(self, session: Session) -> None:
        """Note one iteration of the loop."""

    def assigned(self, partitions: Collection[int]) -> None:
        """Note the assigned partitions after an iteration; usually they have not changed."""

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """Note that a soft or hard reset follows."""

    def recovered(self) -> None:
        """Note that the worker makes progress again after resets."""

    def crashed(self, record: Record, error: Exception) -> None:
        """Note that `process` raised, which is a bug of this program.

        The record is dead-lettered.
        """

    def isolated(self, record: Record, cause: str) -> None:
        """Note that one record was isolated by bisection and is dead-lettered."""

    def bisecting(self, records: int, cause: str) -> None:
        """Note that the broker rejects one of so many records, and the batch is bisected."""

    def lost(self, records: int) -> None:
        """Count records that were deleted before they were read (`on_data_loss=continue`)."""

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """Note that the circuit breaker opened."""
