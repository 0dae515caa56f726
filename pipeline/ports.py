"""The whole outside world of the worker, as small protocols, on one screen.

Errors are sorted by what the worker has to do about them (the failure table in ARCHITECTURE.md);
the text of each is one sentence for the operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pipeline.core.record import Output, Record

Positions = Mapping[tuple[str, int], int]
"""(topic, partition) → offset of the next record to read."""


class TransportError(Exception):
    """The network or Kafka, not the data: retry, restart or ask the operator; never dead-letter."""


class AbortableError(TransportError):
    """The transaction is lost, the clients are healthy: abort, rewind, try the batch again."""


class OutcomeUnknownError(TransportError):
    """Whether the transaction was committed is not known here: forget everything, start anew."""


class RefusedError(TransportError):
    """Kafka refuses for a reason that only the operator can remove: a topic, a right, a limit."""


class FencedError(TransportError):
    """Another live process uses our transactional id or instance id."""


class DataLossError(TransportError):
    """Offsets that we must continue from do not exist (any more)."""


class TooLargeError(Exception):
    """One output exceeds what its topic takes; the transaction is unharmed."""


class Batch(NamedTuple):
    """What one transaction covers."""

    records: list[Record]
    positions: Positions
    """Where to go on after it: last offset + 1 of each partition."""


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

    def number(self, setting: str, default: int) -> int:
        """A numeric setting."""
        return int(self.config.get(setting, default))


class Session(Protocol):
    """One consumer and one transactional producer that live and die together.

    Every method but `close` may raise any TransportError.
    """

    def collect(self) -> Batch:
        """Read until the batch is full by records, bytes or time; no transaction is open now."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Add one output to the transaction; TooLargeError leaves the transaction as it was."""

    def commit(self, positions: Positions) -> None:
        """Commit the outputs and the positions, both or neither."""

    def abort(self) -> None:
        """Abort the transaction."""

    def rewind(self, batch: Batch) -> None:
        """Go back to the first record of each partition of a batch that was aborted."""

    def lag(self) -> int | None:
        """Records not yet read, as last heard from the broker; None without partitions."""

    def close(self) -> None:
        """Leave the group and let both clients go; never raises."""


class Broker(Protocol):
    """Opens sessions; what it opens starts from the committed positions."""

    def open(self) -> Session:
        """A new session; an older one with the same transactional id is fenced off."""


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


@dataclass(slots=True)
class Tally:
    """What became of the records of one transaction, or of many."""

    records: int = 0
    enriched: int = 0
    identify: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason code."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason code."""

    def add(self, other: Tally) -> None:
        """Count the other's on top."""
        self.records += other.records
        self.enriched += other.enriched
        self.identify += other.identify
        self.dead_letters.update(other.dead_letters)
        self.dropped.update(other.dropped)


class Meter(Protocol):
    """Hears what the worker does; the edge decides where the figures go. Never raises."""

    def committed(self, tally: Tally) -> None:
        """A transaction was committed."""

    def tick(self, session: Session) -> None:
        """A turn of the loop; a good moment for a statistics line."""

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """A soft or hard reset follows."""

    def crashed(self, record: Record, error: Exception) -> None:
        """`process` raised, which is a bug of ours; the record is dead-lettered."""
