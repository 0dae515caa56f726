"""What workers and their supervisor tell each other in shared memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import structlog

from pipeline.core.counts import OutcomeCounts
from pipeline.core.record import Record
from pipeline.errors import TransportError
from pipeline.ports import CrashGuard, Lag, Span
from pipeline.worker import processes
from pipeline.worker.memory_broker import MemoryBroker, MemorySession
from pipeline.worker.observe import AggregateStatistics, SlotMeter
from pipeline.worker.shared_state import (
    LocalCrashGuard,
    SharedCell,
    SharedCrashGuard,
    SharedMemory,
    SharedWorkerStates,
)
from tests.unit.worker.harness import committed_batch

TOPIC = "track.raw"
NAMED = Span(TOPIC, 3, 9, 9)


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    """For three workers."""
    made = SharedMemory.created(3)
    yield made
    made.close()


def _span(first: int, last: int, partition: int = 0) -> Span:
    return Span(TOPIC, partition, first, last)


def test_a_cell_holds_what_was_written_last(memory: SharedMemory) -> None:
    """A cell is empty at first; a payload that is too large leaves it empty."""
    cell, neighbour = memory.reason(0), memory.at_work(1)
    assert cell.read() == neighbour.read() == b""
    for payload in (b"one", b"", b"another", b"x" * 32_000):
        before = cell.version
        assert cell.write(payload)
        assert cell.read() == payload
        assert cell.version != before
    assert not cell.write(b"x" * 33_000)
    assert cell.read() == neighbour.read() == b""


def test_a_writer_killed_while_writing_leaves_the_old_payload(memory: SharedMemory) -> None:
    """Until the header is switched, readers find the old payload; a torn header is noticed."""
    cell = memory.marks
    cell.write(b"what was there")
    mapped = memory._memory  # noqa: SLF001  to stop a write in the middle
    whole = mapped[:]
    cell.write(b"what comes next")
    written = mapped[:]
    mapped[:] = whole[:12] + written[12:]
    assert cell.read() == b"what was there"
    mapped[:] = written[:4] + whole[4:12] + written[12:]
    assert cell.read() is None


def test_memory_has_no_name_and_outlives_its_writer() -> None:
    """A process that inherits the descriptor, and is killed, leaves what it wrote."""
    memory = SharedMemory.created(1)
    script = (
        "import os, signal, sys\n"
        "from pipeline.worker.shared_state import SharedCrashGuard, SharedMemory\n"
        "from pipeline.ports import Span\n"
        "guard = SharedCrashGuard(SharedMemory(int(sys.argv[1])), 0)\n"
        "guard.started([Span('track.raw', 2, 5, 8)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(memory.descriptor)],
        pass_fds=[memory.descriptor],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert SharedWorkerStates(memory).at_work(0).spans == [Span(TOPIC, 2, 5, 8)]
    assert not os.get_inheritable(memory.descriptor)
    memory.close()


def test_memory_without_memfd_is_an_unnamed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system lacks memfd, an unnamed file does as well."""
    monkeypatch.delattr(os, "memfd_create")
    memory = SharedMemory.created(2)
    memory.figures(1).write(b"there")
    assert SharedMemory(os.dup(memory.descriptor)).figures(1).read() == b"there"
    assert os.fstat(memory.descriptor).st_nlink == 0
    memory.close()


def test_every_worker_reads_the_supervisors_marks(memory: SharedMemory) -> None:
    """What is suspected or quarantined is so for all; the operator's own records are added."""
    board = SharedWorkerStates(memory)
    guards = [SharedCrashGuard(memory, slot, [NAMED]) for slot in range(3)]
    assert [(guard.suspects(), guard.quarantined()) for guard in guards] == [((), (NAMED,))] * 3
    board.mark({4: _span(0, 9)}, {2: _span(30, 30)})
    for guard in guards:
        assert guard.suspects() == (_span(0, 9),)
        assert guard.quarantined() == (_span(30, 30), NAMED)
    board.mark({}, {})
    assert guards[1].suspects() == ()


def test_the_supervisor_reads_what_every_worker_reports(memory: SharedMemory) -> None:
    """What each works on, until it says that it has left it."""
    board = SharedWorkerStates(memory)
    first, second = SharedCrashGuard(memory, 0), SharedCrashGuard(memory, 1)
    first.started([_span(0, 9), _span(5, 5, partition=1)])
    second.started([_span(7, 8, partition=2)])
    assert board.at_work(0) == ([_span(0, 9), _span(5, 5, partition=1)], [])
    second.finished()
    assert board.at_work(1) == ([], [])
    board.clear(0)
    assert board.at_work(0) == board.at_work(2) == ([], [])


def test_a_finding_is_survived_only_at_its_end(memory: SharedMemory) -> None:
    """A finding is not survived after its first half, nor while it is processed again."""
    board, guard = SharedWorkerStates(memory), SharedCrashGuard(memory, 0)
    board.mark({4: _span(10, 19), 5: _span(10, 19, partition=1)}, {6: _span(30, 30)})
    guard.suspects()

    def survives(first: int, last: int) -> list[int]:
        guard.started([_span(first, last)])
        guard.finished()
        return board.at_work(0).passed

    assert survives(10, 14) == []
    assert survives(15, 19) == [4]
    assert survives(20, 40) == [4, 6]
    guard.started([_span(10, 14)])
    assert board.at_work(0).passed == []
    guard.finished()
    board.mark({7: _span(10, 14)}, {})  # bisected: what was survived of 4 says nothing of 7
    guard.suspects()
    assert survives(15, 40) == [7]


def test_without_a_supervisor_nobody_is_suspected() -> None:
    """There are no suspects; what the operator named is quarantined."""
    guard: CrashGuard = LocalCrashGuard((NAMED,))
    guard.started([_span(0, 9)])
    guard.finished()
    assert (guard.suspects(), guard.quarantined()) == ((), (NAMED,))


def _counts(enriched: int, **dead_letters: int) -> OutcomeCounts:
    records = enriched + sum(dead_letters.values())
    return OutcomeCounts(records, enriched=enriched, dead_letters=Counter(dead_letters))


class _Stores:
    """Of two workers."""

    def __init__(self, memory: SharedMemory) -> None:
        self.now = 0.0
        self.cells = [memory.figures(slot) for slot in range(2)]
        self.aggregate = AggregateStatistics(self.cells, 10.0, self.clock)

    def clock(self) -> float:
        return self.now

    def meter(self, slot: int) -> SlotMeter:
        return SlotMeter(self.cells[slot], 10.0, self.clock)


def test_one_line_has_the_counts_of_all_workers(memory: SharedMemory) -> None:
    """The line sums up all workers, including those that have crashed."""
    stores = _Stores(memory)
    aggregate = stores.aggregate
    assert not aggregate.began()
    first, second = stores.meter(0), stores.meter(1)
    assert aggregate.began()
    session = MemoryBroker().open()
    with structlog.testing.capture_logs() as lines:
        first.committed(committed_batch(_counts(90, invalid_json=10)))
        second.committed(committed_batch(_counts(50)))
        first.tick(session)
        aggregate.tick(2)  # not due yet
        assert aggregate.ended(1) == 50
        stores.now = 10.0
        aggregate.tick(1)
        second = stores.meter(1)
        second.committed(committed_batch(_counts(7, invalid_json=1)))
        second.recovering("soft reset", TransportError("gone"), 1)
        second.lost(3)
        stores.now = 12.0
        first.tick(session)
        second.tick(session)
        aggregate.log(2)
    before, _, after = lines
    figures = ("seconds", "consumed", "enriched", "dead_lettered", "total_consumed", "workers")
    assert [before[name] for name in figures] == [10.0, 150, 140, {"invalid_json": 10}, 150, 1]
    assert [after[name] for name in figures] == [2.0, 8, 7, {"invalid_json": 1}, 158, 2]
    assert (before["workers_reading"], after["workers_reading"]) == (1, 2)
    assert (after["resets"], after["lost"]) == (1, 3)
    assert before["cpu_us_per_event"] >= 0
    assert aggregate.consumed() == 158


class _Behind(MemorySession):
    """A session that is so far behind."""

    def __init__(self, lag: Lag | None) -> None:
        self._lag = lag

    def lag(self) -> Lag:
        """See `ports.Session`, which may not know it."""
        return cast("Lag", self._lag)


@pytest.mark.parametrize(
    ("lags", "reading", "told"),
    [
        ((Lag(2, 30), Lag(1, 4)), 2, 34),
        ((Lag(2, 30), Lag(0, 0)), 1, 30),
        ((Lag(0, 0), Lag(0, 0)), 0, None),
        ((Lag(2, 30), None), 1, None),
        ((Lag(2, 30), "ended"), 1, None),
        ((Lag(2, 30), "recovering"), 1, None),
        ((Lag(2, 30), "silent"), 1, None),
    ],
)
def test_the_lag_is_that_of_all_workers(
    memory: SharedMemory, lags: tuple[Lag, Lag | str | None], reading: int, told: int | None
) -> None:
    """The lag is summed up over workers with partitions, and unknown while one of them is."""
    stores = _Stores(memory)
    meters = [stores.meter(slot) for slot in range(2)]
    for meter, lag in zip(meters, lags, strict=True):
        meter.tick(_Behind(Lag(1, 4) if isinstance(lag, str) else lag))
    stores.aggregate.began()
    if lags[1] == "ended":
        stores.aggregate.ended(1)
    if lags[1] == "recovering":
        meters[1].recovering("hard reset", TransportError("gone"), 1)
    if lags[1] == "silent":
        stores.now = 20.0
        meters[0].tick(_Behind(lags[0]))
    with structlog.testing.capture_logs() as lines:
        stores.aggregate.log(2)
    assert (lines[-1]["workers_reading"], lines[-1]["lag"]) == (reading, told)


def test_counts_that_can_not_be_read_stay_as_they_were(memory: SharedMemory) -> None:
    """Counts that are being replaced at this moment keep their last value."""

    class _Torn(SharedCell):
        torn = False

        def read(self) -> bytes | None:
            return None if self.torn else super().read()

    cell = _Torn(memory._memory, 0, 4096)  # noqa: SLF001  a cell of the test's own
    aggregate = AggregateStatistics([cell], 10.0)
    SlotMeter(cell, 10.0).committed(committed_batch(_counts(5)))
    assert aggregate.consumed() == 5
    SlotMeter(cell, 10.0).committed(committed_batch(_counts(9)))
    cell.torn = True
    assert aggregate.consumed() == 5


class _WideSession(MemorySession):
    def __init__(self, partitions: int) -> None:
        super().__init__(MemoryBroker(), 0)
        self._partitions = range(partitions)

    def lag(self) -> Lag:
        return Lag.between(dict.fromkeys(self._partitions, 0), dict.fromkeys(self._partitions, 5))


def test_lag_stays_known_while_a_commit_takes_long(memory: SharedMemory) -> None:
    """An interval that ends meanwhile changes nothing, and the records go on getting older."""
    stores = _Stores(memory)
    meter = stores.meter(0)
    meter.tick(_WideSession(3))
    for stores.now in (11.0, 22.0):
        meter.report()
    (condition,) = [each.condition for each in stores.aggregate.current() if each]
    assert condition.lag == Lag(3, 15)
    assert set(condition.ages) == {0, 1, 2}


def test_worker_with_very_many_partitions_is_not_taken_for_one_that_does_not_run(
    memory: SharedMemory,
) -> None:
    """What has no room in the shared memory is summed up; the age of the oldest record remains."""
    stores = _Stores(memory)
    meter = stores.meter(0)
    meter.committed(committed_batch(_counts(5)))
    meter.tick(_WideSession(50_000))
    assert stores.aggregate.began()
    assert stores.aggregate.consumed() == 5
    (condition,) = [each.condition for each in stores.aggregate.current() if each]
    assert condition.lag == Lag(50_000, 250_000)
    assert len(condition.ages) == 1


def test_crashes_are_logged_ten_times_an_interval(memory: SharedMemory) -> None:
    """Commits between them do not begin a new interval."""
    stores = _Stores(memory)
    meter = stores.meter(0)
    record = Record(b"{}", None, (), 0, TOPIC, 0, 1)
    session = MemoryBroker().open()
    with structlog.testing.capture_logs() as lines:
        for _ in range(30):
            meter.crashed(record, ValueError("x"))
            meter.committed(committed_batch(_counts(1)))
            meter.tick(session)
        assert len(lines) == 10
        stores.now = 10.0
        meter.report()
        meter.crashed(record, ValueError("x"))
    assert len(lines) == 11


@pytest.mark.parametrize(
    ("text", "kills"),
    [("nr_free 7\noom_kill 3\nunevictable 1\n", 3), ("nr_free 7\n", 0), (None, 0)],
)
def test_kills_for_lack_of_memory_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, kills: int
) -> None:
    """Kills are counted as the system reports them; where it does not, SIGKILL is never a crash."""
    vmstat = tmp_path / "vmstat"
    if text is not None:
        vmstat.write_text(text)
    monkeypatch.setattr(processes, "_VMSTAT", vmstat)
    assert processes._oom_kills() == kills  # noqa: SLF001  can't be caused in a test
