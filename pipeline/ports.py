"""The whole outside world of the worker, as small protocols, on one screen.

What they raise is in `errors.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from pipeline.core.counts import Tally
from pipeline.core.offset_metadata import CommitNote
from pipeline.core.record import Output, Record

Positions = Mapping[tuple[str, int], int]
"""(topic, partition) → offset of the next record to read."""


class CircuitBreakerTrip(NamedTuple):
    """Why the breaker holds the worker back: a change was followed by far more refusals."""

    contract: str
    """Of the rules that run; setting `breaker.accept` to its hash releases it."""
    before: str
    """Of the rules before; empty when unknown."""
    invalid: int
    watched: int
    base: float
    """Share that was usual, 0 to 1."""
    reasons: Mapping[str, int]
    """Reason code → number, of the refused events that were watched."""

    def sentence(self) -> str:
        """What happened, and what to do about it."""
        reasons = ", ".join(f"{code} {number}" for code, number in self.top())
        change = f"{self.before} → {self.contract}" if self.before else self.contract
        return (
            f"the breaker is open: {self.invalid} of {self.watched} events would be refused "
            f"({self.invalid / self.watched:.1%}, usual are {self.base:.1%}) after a change of "
            f"the contract or its settings ({change}): {reasons}. Nothing of this was written. "
            "Undo the change, or set breaker.accept="
            f"{self.contract.partition(';')[2]} to go on with it"
        )

    def top(self) -> list[tuple[str, int]]:
        """The most frequent reasons, at most five."""
        return Counter(self.reasons).most_common(5)


class Batch(NamedTuple):
    """What one transaction covers."""

    records: list[Record]
    positions: Positions
    """Where to go on after it, of each partition whose position has moved: behind its last record,
    or behind what follows and is never delivered. There may be positions without records."""
    inherited: Sequence[CommitNote] = ()
    """Notes beside the committed offsets of partitions that were assigned since the last batch."""
    lost: int = 0
    """Records that were deleted before they were read, since the last batch."""


class Lag(NamedTuple):
    """How far a session is behind."""

    partitions: int
    """That it holds."""
    offsets: int
    """In these: from the committed positions to the ends of the partitions."""


class Span(NamedTuple):
    """A range of records of one partition; both ends belong to it."""

    topic: str
    partition: int
    first: int
    last: int


class TopicSpec(NamedTuple):
    """One topic as it should be created."""

    name: str
    partitions: int
    replication: int
    """-1: the broker's default."""
    config: Mapping[str, str]


class TopicFacts(NamedTuple):
    """One topic as the cluster has it."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    """Effective settings of the topic, such as `max.message.bytes`; all values are text."""
    operations: frozenset[str] | None = None
    """What we may do with it, by Kafka's names such as READ; None when the broker does not say.
    Nothing at all: it is hidden from us, and may not even exist."""
    id: str = ""
    """Kafka's id: a topic created anew has another one. Empty when the cluster has no ids."""
    in_sync: int | None = None
    """Replicas in sync of the partition that has the fewest; None when it was not asked for."""

    def allows(self, operation: str) -> bool:
        """Whether we may do this, as far as the broker says."""
        return self.operations is None or operation in self.operations

    def number(self, setting: str, default: int) -> int:
        """A numeric setting."""
        return int(self.config.get(setting, default))


class Session(Protocol):
    """One consumer and one transactional producer that live and die together.

    Every method but `close` may raise any TransportError.
    """

    def collect(self) -> Batch:
        """Read until the batch is full by records, bytes or time; no transaction is open now.

        A batch without records has positions only when they have moved.
        """

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Add one output to the transaction; TooLargeError leaves the transaction as it was."""

    def commit(self, positions: Positions, note: CommitNote, tally: Tally) -> None:
        """Commit the outputs and the positions, both or neither; the note goes beside them.

        The tally counts what the transaction holds.
        """

    def abort(self) -> None:
        """Abort the transaction."""

    def rewind(self, batch: Batch) -> None:
        """Go back to the first record of each partition of a batch that was aborted."""

    def pause(self, seconds: float) -> None:
        """Stay in the group for that long without reading; after it the session can only close."""

    def lag(self) -> Lag | None:
        """How far behind it is now; None when that can't be told. Waits a moment at most."""

    def assigned(self) -> Collection[int]:
        """Numbers of the partitions that it reads now."""

    def close(self) -> None:
        """Leave the group and let both clients go; never raises."""


class Broker(Protocol):
    """Opens sessions; what it opens starts from the committed positions."""

    def open(self) -> Session:
        """A new session; an older one with the same transactional id is fenced off."""


Ranges = Mapping[tuple[str, int], tuple[int, int]]
"""(topic, partition) → first offset and the one after the last."""


class Reader(Protocol):
    """Reads ranges of topics as a read_committed reader sees them; in no group, commits nothing."""

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """Every record in the ranges, each partition in order; partitions may alternate.

        Waits for transactions that are open within a range. Raises TransportError.
        """


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> int:
        """Wall clock, epoch milliseconds."""


class Stop(Protocol):
    """Whether the worker was asked to stop (threading.Event is one)."""

    def is_set(self) -> bool:
        """True from the moment it was asked."""

    def wait(self, timeout: float) -> bool:
        """Wait that many seconds at most, less when asked to stop."""


class CrashGuard(Protocol):
    """Remembers, outside this process, what it works on: a record may kill it. Never raises.

    Without a supervisor nobody remembers; then there are no suspects.
    """

    def started(self, spans: Sequence[Span]) -> None:
        """These records are worked on from now on."""

    def finished(self) -> None:
        """Nothing is worked on."""

    def suspects(self) -> Sequence[Span]:
        """Records among which one has killed a process: each span is worked on in halves."""

    def quarantined(self) -> Sequence[Span]:
        """Records that kill a process, or that the operator named: dead-lettered unread."""


class Stall(NamedTuple):
    """What keeps the worker from working just now."""

    cause: str
    """A sentence: what is wrong, where, and what ends it. It stays the same while nothing changes,
    so it holds no figure that grows."""
    harmless: bool = False
    """Nothing is wrong: there is nothing to do for this worker."""


class StallMonitor(Protocol):
    """Finds out, beside the loop and in a thread of its own, why the worker can't work."""

    def look(self) -> Stall | None:
        """What is in the way; None when nothing is. Never raises; takes some seconds at most."""


class Meter(Protocol):
    """Hears what the worker does; the edge decides where the figures go. Never raises."""

    def committed(self, tally: Tally) -> None:
        """A transaction was committed."""

    def tick(self, session: Session) -> None:
        """A turn of the loop; a good moment for a statistics line."""

    def assigned(self, partitions: Collection[int]) -> None:
        """The partitions that are held after a turn of the loop; most often those of before."""

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """A soft or hard reset follows."""

    def recovered(self) -> None:
        """After resets the worker works again."""

    def crashed(self, record: Record, error: Exception) -> None:
        """`process` raised, which is a bug of ours; the record is dead-lettered."""

    def isolated(self, record: Record, cause: str) -> None:
        """One record was found that the broker refuses or that kills processes; dead-lettered."""

    def bisecting(self, records: int, cause: str) -> None:
        """One of so many records is refused by the broker; it is being searched for."""

    def lost(self, records: int) -> None:
        """So many records were deleted before they were read (`on_data_loss=continue`)."""

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """The breaker holds the worker back."""
