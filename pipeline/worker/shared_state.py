"""What is being worked on, remembered where the death of a process does not reach it.

A supervisor and its workers share a piece of memory without a name: no file is written, and it is
gone with the last of them. In it, each worker says which records it works on; the supervisor says
which records are suspected of killing processes, for all workers, since partitions move.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from pipeline.ports import Span

_Message = TypeVar("_Message")
_HEADER: Final = struct.Struct("<III")
"""Version, length and checksum of what a cell holds."""
_WIDE: Final = 1 << 20
"""Spans of some thousand partitions. The memory costs only what is written to."""
_NARROW: Final = 1 << 16
_OF_ONE: Final = _WIDE + 2 * _NARROW
"""What one worker has."""


class Cell:
    """Bytes in shared memory: one process writes, others read, none of them waits.

    What is written goes beside what can be read, and the header is switched last. So whoever
    reads finds the old or the new, wherever the writer was killed.
    """

    def __init__(self, memory: mmap.mmap, start: int, size: int) -> None:
        self._memory = memory
        self._start = start
        self._room = (size - _HEADER.size) // 2

    @property
    def version(self) -> int:
        """It changes with every write."""
        (version,) = struct.unpack_from("<I", self._memory, self._start)
        return int(version)

    def write(self, payload: bytes) -> None:
        """Replace what is there; what is larger than the cell leaves it empty."""
        if len(payload) > self._room:
            payload = b""
        version = (self.version + 1) & 0xFFFFFFFF
        at = self._place(version)
        self._memory[at : at + len(payload)] = payload
        checksum = zlib.crc32(payload)
        _HEADER.pack_into(self._memory, self._start, version, len(payload), checksum)

    def read(self) -> bytes | None:
        """What is there; None when it was replaced twice meanwhile."""
        version, length, checksum = _HEADER.unpack_from(self._memory, self._start)
        at = self._place(version)
        payload = self._memory[at : at + min(length, self._room)]
        return payload if zlib.crc32(payload) == checksum else None

    def _place(self, version: int) -> int:
        return self._start + _HEADER.size + version % 2 * self._room


def unnamed_file() -> int:
    """A new file, in memory where the system has such, that is gone with its last descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("track-pipeline")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedMemory:
    """One piece for a supervisor and all of its workers; they have its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Map memory that `created` has made; may raise OSError or ValueError."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0)
        self.marks = Cell(self._memory, 0, _WIDE)

    @classmethod
    def created(cls, workers: int) -> SharedMemory:
        """New, empty memory for so many workers."""
        descriptor = unnamed_file()
        os.truncate(descriptor, _WIDE + workers * _OF_ONE)
        return cls(descriptor)

    def at_work(self, slot: int) -> Cell:
        """Where a worker says what it works on."""
        return Cell(self._memory, self._start(slot), _WIDE)

    def figures(self, slot: int) -> Cell:
        """Where a worker says what it has done so far."""
        return Cell(self._memory, self._start(slot) + _WIDE, _NARROW)

    def reason(self, slot: int) -> Cell:
        """Where a worker says why it ends."""
        return Cell(self._memory, self._start(slot) + _WIDE + _NARROW, _NARROW)

    def close(self) -> None:
        """Let it go."""
        self._memory.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    @staticmethod
    def _start(slot: int) -> int:
        return _WIDE + slot * _OF_ONE


class Marks(NamedTuple):
    """What the supervisor tells all workers: number of the finding → its records."""

    suspects: dict[int, Span]
    quarantined: dict[int, Span]


class WorkerState(NamedTuple):
    """What one worker tells the supervisor."""

    spans: list[Span]
    """Records that it works on now."""
    passed: list[int]
    """Numbers of the findings that it has worked on to their end, and lived."""


_NOTHING: Final = WorkerState([], [])
_UNMARKED: Final = Marks({}, {})
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_marks: Final = msgspec.msgpack.Decoder(Marks).decode
_decode_at_work: Final = msgspec.msgpack.Decoder(WorkerState).decode


class SharedWorkerStates:
    """The supervisor's side of the memory."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
        """Tell all workers, from their next batch on."""
        self._memory.marks.write(_encode(Marks(dict(suspects), dict(quarantined))))

    def at_work(self, slot: int) -> WorkerState:
        """What a worker says, or said last before it died."""
        return _read(self._memory.at_work(slot), _decode_at_work) or _NOTHING

    def reason(self, slot: int) -> str:
        """Why a worker ended, in its own words; empty when it could not say so."""
        return (self._memory.reason(slot).read() or b"").decode()

    def clear(self, slot: int) -> None:
        """Forget what a dead worker said."""
        self._memory.at_work(slot).write(b"")
        self._memory.reason(slot).write(b"")


class SharedCrashGuard:
    """The worker's side of the memory; see `ports.CrashGuard`."""

    def __init__(self, memory: SharedMemory, slot: int, quarantined: Collection[Span] = ()) -> None:
        self._cell = memory.at_work(slot)
        self._table = memory.marks
        self._quarantined = tuple(quarantined)
        self._version = -1
        self._marks = _UNMARKED
        self._inside: list[Span] = []
        self._passed: set[int] = set()

    def started(self, spans: Sequence[Span]) -> None:
        """See `ports.CrashGuard`."""
        self._inside = list(spans)
        self._passed -= {
            number
            for number, mark in self._marked()
            if any(_same_place(mark, span) and span.first <= mark.last for span in spans)
        }
        self._tell()

    def finished(self) -> None:
        """See `ports.CrashGuard`."""
        self._passed |= {
            number
            for number, mark in self._marked()
            if any(_same_place(mark, span) and span.last >= mark.last for span in self._inside)
        }
        self._inside = []
        self._tell()

    def suspects(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return tuple(self._heard().suspects.values())

    def quarantined(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return (*self._heard().quarantined.values(), *self._quarantined)

    def _heard(self) -> Marks:
        version = self._table.version
        if version != self._version:
            marks = _read(self._table, _decode_marks)
            if marks is not None:
                self._version, self._marks = version, marks
                self._passed &= {number for number, _ in self._marked()}
        return self._marks

    def _marked(self) -> list[tuple[int, Span]]:
        return [*self._marks.suspects.items(), *self._marks.quarantined.items()]

    def _tell(self) -> None:
        self._cell.write(_encode(WorkerState(self._inside, sorted(self._passed))))


class LocalCrashGuard:
    """For a worker without a supervisor: nobody remembers; see `ports.CrashGuard`.

    `quarantined` are the records that the operator named.
    """

    def __init__(self, quarantined: Sequence[Span] = ()) -> None:
        self._quarantined = quarantined

    def started(self, spans: Sequence[Span]) -> None:
        """See `ports.CrashGuard`."""

    def finished(self) -> None:
        """See `ports.CrashGuard`."""

    def suspects(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return ()

    def quarantined(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return self._quarantined


def _same_place(one: Span, other: Span) -> bool:
    return one.partition == other.partition and one.topic == other.topic


def _read(cell: Cell, decode: Callable[[bytes], _Message]) -> _Message | None:
    payload = cell.read()
    return decode(payload) if payload else None
