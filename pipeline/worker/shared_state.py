"""Memory that the supervisor and its workers share, and that survives the crash of a worker.

The memory has no name: no file is written, and it is gone with the last process. Each worker writes
into it which records it is processing. The supervisor writes into it which spans are suspected of
crashing processes, for all workers, since partitions move between them.
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
"""Version, length and checksum of a cell's payload."""
_WIDE: Final = 1 << 20
"""Bytes of a cell for spans or counts of thousands of partitions. Unwritten pages cost nothing."""
_NARROW: Final = 1 << 16
"""Bytes of a cell for one sentence."""
_PER_WORKER: Final = 2 * _WIDE + _NARROW
"""Bytes that each worker has."""


class SharedCell:
    """A payload in shared memory that one process writes and others read, without locks.

    A new payload is written beside the readable one, and the header is switched last. So readers
    find either the old or the new one, wherever the writer was killed.
    """

    def __init__(self, memory: mmap.mmap, start: int, size: int) -> None:
        self._memory = memory
        self._start = start
        self._room = (size - _HEADER.size) // 2

    @property
    def version(self) -> int:
        """Number that changes with every write."""
        (version,) = struct.unpack_from("<I", self._memory, self._start)
        return int(version)

    def write(self, payload: bytes) -> bool:
        """Replace the payload; return whether it fits. A larger one leaves the cell empty."""
        fits = len(payload) <= self._room
        if not fits:
            payload = b""
        version = (self.version + 1) & 0xFFFFFFFF
        at = self._place(version)
        self._memory[at : at + len(payload)] = payload
        checksum = zlib.crc32(payload)
        _HEADER.pack_into(self._memory, self._start, version, len(payload), checksum)
        return fits

    def read(self) -> bytes | None:
        """Return the payload; None when it was replaced twice meanwhile."""
        version, length, checksum = _HEADER.unpack_from(self._memory, self._start)
        at = self._place(version)
        payload = self._memory[at : at + min(length, self._room)]
        return payload if zlib.crc32(payload) == checksum else None

    def _place(self, version: int) -> int:
        return self._start + _HEADER.size + version % 2 * self._room


def unnamed_file() -> int:
    """Create an unnamed file, in memory if possible, that is gone with its last descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("track-pipeline")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedMemory:
    """The memory of a supervisor and all of its workers, who inherit its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Map memory that `created` has made. May raise OSError or ValueError."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0)
        self.marks = SharedCell(self._memory, 0, _WIDE)

    @classmethod
    def created(cls, workers: int) -> SharedMemory:
        """Create empty memory for so many workers."""
        descriptor = unnamed_file()
        os.truncate(descriptor, _WIDE + workers * _PER_WORKER)
        return cls(descriptor)

    def at_work(self, slot: int) -> SharedCell:
        """Return the cell in which a worker says what it is processing."""
        return SharedCell(self._memory, self._start(slot), _WIDE)

    def figures(self, slot: int) -> SharedCell:
        """Return the cell in which a worker publishes its counts."""
        return SharedCell(self._memory, self._start(slot) + _WIDE, _WIDE)

    def reason(self, slot: int) -> SharedCell:
        """Return the cell in which a worker says why it exits."""
        return SharedCell(self._memory, self._start(slot) + 2 * _WIDE, _NARROW)

    def close(self) -> None:
        """Unmap the memory and close the descriptor."""
        self._memory.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    @staticmethod
    def _start(slot: int) -> int:
        return _WIDE + slot * _PER_WORKER


class Marks(NamedTuple):
    """Suspect and quarantined spans by the number of the finding; the supervisor writes them."""

    suspects: dict[int, Span]
    quarantined: dict[int, Span]


class WorkerState(NamedTuple):
    """What a worker reports about the records it processes."""

    spans: list[Span]
    """Spans that are being processed."""
    passed: list[int]
    """Numbers of the findings that it has processed to their end without crashing."""


_NOTHING: Final = WorkerState([], [])
_UNMARKED: Final = Marks({}, {})
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_marks: Final = msgspec.msgpack.Decoder(Marks).decode
_decode_at_work: Final = msgspec.msgpack.Decoder(WorkerState).decode


class SharedWorkerStates:
    """The supervisor's view of the shared memory."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
        """Publish suspect and quarantined spans; workers apply them from their next batch on."""
        self._memory.marks.write(_encode(Marks(dict(suspects), dict(quarantined))))

    def at_work(self, slot: int) -> WorkerState:
        """Return what a worker reports, or reported last before it crashed."""
        return _read(self._memory.at_work(slot), _decode_at_work) or _NOTHING

    def reason(self, slot: int) -> str:
        """Return a worker's own last sentence; empty when it had no chance to leave one."""
        return (self._memory.reason(slot).read() or b"").decode()

    def clear(self, slot: int) -> None:
        """Forget what a worker that exited has reported."""
        self._memory.at_work(slot).write(b"")
        self._memory.reason(slot).write(b"")


class SharedCrashGuard:
    """A worker's view of the shared memory; see `ports.CrashGuard`."""

    def __init__(self, memory: SharedMemory, slot: int, quarantined: Collection[Span] = ()) -> None:
        self._own = memory.at_work(slot)
        self._marks_cell = memory.marks
        self._quarantined = tuple(quarantined)
        self._version = -1
        self._marks = _UNMARKED
        self._spans: list[Span] = []
        self._passed: set[int] = set()

    def started(self, spans: Sequence[Span]) -> None:
        """See `ports.CrashGuard`."""
        self._spans = list(spans)
        self._passed -= {
            number
            for number, mark in self._marked()
            if any(_same_partition(mark, span) and span.first <= mark.last for span in spans)
        }
        self._report()

    def finished(self) -> None:
        """See `ports.CrashGuard`."""
        self._passed |= {
            number
            for number, mark in self._marked()
            if any(_same_partition(mark, span) and span.last >= mark.last for span in self._spans)
        }
        self._spans = []
        self._report()

    def suspects(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return tuple(self._current_marks().suspects.values())

    def quarantined(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return (*self._current_marks().quarantined.values(), *self._quarantined)

    def _current_marks(self) -> Marks:
        version = self._marks_cell.version
        if version != self._version:
            marks = _read(self._marks_cell, _decode_marks)
            if marks is not None:
                self._version, self._marks = version, marks
                self._passed &= {number for number, _ in self._marked()}
        return self._marks

    def _marked(self) -> list[tuple[int, Span]]:
        return [*self._marks.suspects.items(), *self._marks.quarantined.items()]

    def _report(self) -> None:
        self._own.write(_encode(WorkerState(self._spans, sorted(self._passed))))


class LocalCrashGuard:
    """The guard of a worker without a supervisor; see `ports.CrashGuard`.

    Nothing is remembered. `quarantined` are the records that the operator named.
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


def _same_partition(one: Span, other: Span) -> bool:
    return one.partition == other.partition and one.topic == other.topic


def _read(cell: SharedCell, decode: Callable[[bytes], _Message]) -> _Message | None:
    payload = cell.read()
    return decode(payload) if payload else None
