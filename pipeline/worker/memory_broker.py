"""An in-memory broker that keeps a diary of every call a worker makes.

The counterpart of `kafka.session`: the same contract tests run on both, and tests of the worker's
decisions assert the whole diary. It is weaker than Kafka in one point: there is one group with one
member, so partitions are never revoked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Headers, Output, Record
from pipeline.errors import FencedError, TransportError
from pipeline.ports import Batch, Lag, Positions


@dataclass(frozen=True)
class SessionOpened:
    """A session was opened, which fences an older one."""


@dataclass(frozen=True)
class Begun:
    """A transaction was begun."""


@dataclass(frozen=True)
class Sent:
    """An output was added to the transaction."""

    output: Output


@dataclass(frozen=True)
class Committed:
    """The outputs since Begun, and these positions, were committed."""

    positions: Positions
    note: OffsetMetadata = field(compare=False)


@dataclass(frozen=True)
class Aborted:
    """The outputs since Begun were discarded."""


@dataclass(frozen=True)
class Rewound:
    """The session sought back to these positions."""

    positions: Positions


@dataclass(frozen=True)
class SessionClosed:
    """A session was closed."""


@dataclass(frozen=True)
class Paused:
    """The session stayed in the group without reading."""


DiaryEntry = SessionOpened | Begun | Sent | Committed | Aborted | Rewound | Paused | SessionClosed


class Fault(NamedTuple):
    """A failure that a test has scheduled for one call."""

    error: TransportError
    takes_effect: bool
    """Whether the call takes effect before it fails, like a commit whose answer is lost."""


class MemoryBroker:
    """A raw topic, its outputs and its committed offsets; see `ports.Broker`."""

    def __init__(self, topic: str = "track.raw", partitions: int = 1, batch: int = 100) -> None:
        self.topic = topic
        self.raw: list[list[Record | None]] = [[] for _ in range(partitions)]
        """Entries by partition and offset. None is one that is never delivered, like a marker."""
        self.committed: dict[tuple[str, int], int] = {
            (topic, number): 0 for number in range(partitions)
        }
        self.notes: dict[tuple[str, int], OffsetMetadata] = {}
        """Metadata of the committed offsets."""
        self.outputs: list[Output] = []
        """Outputs that a read_committed reader sees, in the order of commits."""
        self.diary: list[DiaryEntry] = []
        self.batch = batch
        self.epoch = 0
        self._faults: dict[str, list[Fault | None]] = defaultdict(list)

    def append(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int = 0,
    ) -> Record:
        """Append a raw record."""
        log = self.raw[partition]
        record = Record(value, key, headers, timestamp, self.topic, partition, len(log))
        log.append(record)
        return record

    def append_marker(self, partition: int = 0) -> None:
        """Append a transaction marker or aborted record: an offset that is never delivered."""
        self.raw[partition].append(None)

    def read(self, partition: int, start: int, room: int) -> tuple[list[Record], int]:
        """Return up to `room` records from an offset on, and the position behind them.

        At the end of the log, the position is also behind entries that are never delivered.
        """
        rest = [record for record in self.raw[partition][start:] if record is not None]
        if len(rest) <= room:
            return rest, len(self.raw[partition])
        return rest[:room], rest[room - 1].offset + 1 if room else start

    def fail(self, call: str, error: TransportError, *, takes_effect: bool = False) -> None:
        """Make the next call of this name fail: `open`, or a method of `ports.Session`."""
        self._faults[call].append(Fault(error, takes_effect))

    def spare(self, call: str) -> None:
        """Let the next call of this name succeed; the call after it meets the next fault."""
        self._faults[call].append(None)

    def fault(self, call: str) -> Fault | None:
        """Return the fault scheduled for this call, if there is one."""
        return self._faults[call].pop(0) if self._faults[call] else None

    def open(self) -> MemorySession:
        """See `ports.Broker`."""
        fault = self.fault("open")
        if fault is not None:
            raise fault.error
        self.epoch += 1
        self.diary.append(SessionOpened())
        return MemorySession(self, self.epoch)


class MemorySession:
    """See `ports.Session`."""

    def __init__(self, broker: MemoryBroker, epoch: int) -> None:
        self._broker = broker
        self._epoch = epoch
        self._next = dict(broker.committed)
        self._pending: list[Output] = []
        self._inherited = list(broker.notes.values())

    def collect(self) -> Batch:
        """See `ports.Session`."""
        self._meet("collect")
        records: list[Record] = []
        positions: dict[tuple[str, int], int] = {}
        for partition, start in self._next.items():
            taken, end = self._broker.read(partition[1], start, self._broker.batch - len(records))
            records += taken
            if end > start:
                positions[partition] = end
        self._next.update(positions)
        inherited, self._inherited = self._inherited, []
        return Batch(records, positions, inherited)

    def begin(self) -> None:
        """See `ports.Session`."""
        self._meet("begin")
        self._pending = []
        self._broker.diary.append(Begun())

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        self._meet("send")
        self._pending.append(output)
        self._broker.diary.append(Sent(output))

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`."""
        del counts
        fault = self._broker.fault("commit")
        if fault is not None and not fault.takes_effect:
            raise fault.error
        self._refuse_if_fenced()
        self._broker.outputs += self._pending
        self._broker.committed.update(positions)
        self._broker.notes.update(dict.fromkeys(positions, note))
        self._broker.diary.append(Committed(dict(positions), note))
        if fault is not None:
            raise fault.error

    def abort(self) -> None:
        """See `ports.Session`."""
        self._meet("abort")
        self._pending = []
        self._broker.diary.append(Aborted())

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`."""
        self._meet("rewind")
        firsts: dict[tuple[str, int], int] = {}
        for record in batch.records:
            firsts.setdefault((record.topic, record.partition), record.offset)
        self._next |= {each: self._broker.committed[each] for each in batch.positions}
        self._broker.diary.append(Rewound(firsts))

    def pause(self, seconds: float) -> None:
        """See `ports.Session`. No time passes in memory."""
        del seconds
        self._meet("pause")
        self._broker.diary.append(Paused())

    def lag(self) -> Lag:
        """See `ports.Session`."""
        positions = {number: at for (_topic, number), at in self._broker.committed.items()}
        return Lag.between(
            positions, {number: len(self._broker.raw[number]) for number in positions}
        )

    def assigned(self) -> list[int]:
        """See `ports.Session`. All partitions are assigned."""
        return [number for _topic, number in self._next]

    def close(self) -> None:
        """See `ports.Session`."""
        self._broker.diary.append(SessionClosed())

    def _meet(self, call: str) -> None:
        fault = self._broker.fault(call)
        if fault is not None:
            raise fault.error
        self._refuse_if_fenced()

    def _refuse_if_fenced(self) -> None:
        if self._epoch != self._broker.epoch:
            message = "another live process uses the same transactional id"
            raise FencedError(message)
