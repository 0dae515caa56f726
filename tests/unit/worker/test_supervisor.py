"""What a supervisor decides: restarts, final ends, and which record kills its process."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.record import Record
from pipeline.errors import ExitCode
from pipeline.ports import Batch, Span
from pipeline.settings.model import Settings
from pipeline.worker.bisection import QUARANTINED, spans, split
from pipeline.worker.poison_pill import SETTLED_S, PoisonPillTracker
from pipeline.worker.restart_policy import (
    RestartDelays,
    RestartPolicy,
    SupervisorResult,
    WorkerExit,
)
from pipeline.worker.supervisor import Supervisor

TOPIC = "track.raw"
KAFKA_FAILED = WorkerExit(0, ExitCode.KAFKA, out_of_memory=False)
KILLED = WorkerExit(0, -signal.SIGKILL, out_of_memory=False)


def _span(first: int, last: int, partition: int = 0) -> Span:
    return Span(TOPIC, partition, first, last)


@pytest.mark.parametrize(
    ("status", "out_of_memory", "crashed", "how", "code"),
    [
        (0, False, False, "exit code 0", 0),
        (1, False, False, "exit code 1", 1),
        (3, False, False, "exit code 3", 3),
        (99, False, True, "exit code 99", ExitCode.INTERNAL),
        (-signal.SIGSEGV, False, True, "SIGSEGV", ExitCode.INTERNAL),
        (-signal.SIGABRT, False, True, "SIGABRT", ExitCode.INTERNAL),
        (128 + signal.SIGSEGV, False, True, "exit code 139", ExitCode.INTERNAL),
        (-signal.SIGKILL, False, False, "SIGKILL", ExitCode.INTERNAL),
        (-signal.SIGKILL, True, True, "SIGKILL", ExitCode.INTERNAL),
        (-signal.SIGTERM, True, False, "SIGTERM", ExitCode.INTERNAL),
        (128 + signal.SIGKILL, True, False, "exit code 137", ExitCode.INTERNAL),
        (128 + signal.SIGTERM, False, False, "exit code 143", ExitCode.INTERNAL),
        (-60, False, False, "signal 60", ExitCode.INTERNAL),
    ],
)
def test_exits_are_crashes_or_not(
    status: int,
    out_of_memory: bool,  # noqa: FBT001  a table's column
    crashed: bool,  # noqa: FBT001  as above
    how: str,
    code: int,
) -> None:
    """A process's own faults count against its records; signals that people send do not."""
    ended = WorkerExit(1, status, out_of_memory)
    assert (ended.crashed, ended.how) == (crashed, how)
    outcome = ended.outcome("because")
    assert outcome == (code, f"worker 1 ended with {how}: because")


def _pauses(
    restarts: RestartPolicy, *ends: tuple[WorkerExit, float, bool, bool]
) -> list[float | None]:
    return [
        restarts.delay(ended, lived_s=lived_s, committed=committed, found=found)
        for ended, lived_s, committed, found in ends
    ]


def test_delays_grow_and_shrink() -> None:
    """Delays are 1, 2, 4 … 60 s; a healthy minute resets them, a commit alone does not."""
    restarts = RestartPolicy(RestartDelays(give_up=100))
    soon, later = (KILLED, 2.0, False, False), (KILLED, 60.0, False, False)
    assert _pauses(restarts, *[soon] * 8) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert _pauses(restarts, later, soon) == [1, 2]
    assert _pauses(restarts, (KILLED, 2.0, True, False)) == [4]


def test_there_is_no_delay_while_a_poison_pill_is_searched() -> None:
    """A crash that advances the search is followed by a restart, and is no reason to give up."""
    restarts = RestartPolicy(RestartDelays(give_up=2))
    assert _pauses(restarts, *[(KILLED, 1.0, False, True)] * 20) == [0.0] * 20


def test_the_policy_gives_up_after_exits_without_a_commit() -> None:
    """A long life without Kafka is no success either."""
    vain, fruitful = (KAFKA_FAILED, 200.0, False, False), (KAFKA_FAILED, 200.0, True, False)
    restarts = RestartPolicy(RestartDelays(give_up=3))
    assert _pauses(restarts, vain, vain, fruitful, vain, vain, vain) == [1, 2, 4, 8, 16, None]
    restarts = RestartPolicy(RestartDelays(give_up=0))
    assert _pauses(restarts, vain) == [None]


def _kinds(book: PoisonPillTracker, *deaths: Span, committed: int = 0) -> list[list[str]]:
    return [[finding.kind for finding in book.crashed([death], committed)] for death in deaths]


def test_two_crashes_make_a_suspect() -> None:
    """What two crashes have in common is suspected; crashes elsewhere suspect nothing."""
    book = PoisonPillTracker()
    assert _kinds(book, _span(0, 99), _span(200, 299), _span(0, 99, partition=1)) == [[], [], []]
    assert book.crashed([], 0) == []
    assert book.suspects == {}
    assert _kinds(book, _span(60, 150)) == [["suspected"]]
    assert list(book.suspects.values()) == [_span(60, 99)]


def test_every_partition_in_common_is_a_suspect() -> None:
    """A batch holds records of several partitions: each of them may have the one."""
    book = PoisonPillTracker()
    first = [_span(0, 9, partition=0), _span(0, 9, partition=1)]
    second = [_span(5, 20, partition=1), _span(0, 9, partition=0), _span(0, 9, partition=2)]
    assert book.crashed(first, 0) == []
    assert [finding.kind for finding in book.crashed(second, 0)] == ["suspected", "suspected"]
    assert set(book.suspects.values()) == {_span(0, 9, partition=0), _span(5, 9, partition=1)}


def test_a_suspect_is_halved_to_one_record_and_quarantined() -> None:
    """A crash within a suspect narrows it; one record is quarantined after two more."""
    book = PoisonPillTracker()
    assert _kinds(book, _span(0, 3), _span(0, 3)) == [[], ["suspected"]]
    # This worker did not know of the suspect: its crash proves nothing.
    assert _kinds(book, _span(0, 99)) == [[]]
    (whole,) = book.suspects
    assert _kinds(book, _span(0, 1)) == [["bisected"]]
    # What a worker says of the whole, which it survived before, is not said of the half.
    assert whole not in book.suspects
    assert _kinds(book, _span(1, 1)) == [["bisected"]]
    assert book.quarantined == {}
    assert _kinds(book, _span(1, 1), _span(1, 1)) == [["reproduced"], ["confirmed"]]
    assert (book.suspects, list(book.quarantined.values())) == ({}, [_span(1, 1)])


def test_a_batch_of_one_record_needs_four_crashes() -> None:
    """With little traffic every batch is one record: two crashes do not quarantine it."""
    book = PoisonPillTracker()
    single = _span(7, 7)
    assert _kinds(book, *[single] * 4) == [[], ["suspected"], ["reproduced"], ["confirmed"]]


def test_survivors_are_cleared() -> None:
    """What was survived a minute ago is no longer suspected; a number belongs to one finding."""
    book = PoisonPillTracker()
    _kinds(book, _span(0, 3), _span(0, 3))
    (number,) = book.suspects
    assert not book.survived({number}, now=0.0)
    assert not book.survived({number, 99}, now=SETTLED_S - 1)
    assert not book.survived(set(), now=SETTLED_S)  # entered again, since the commit had failed
    assert not book.survived({number}, now=SETTLED_S + 1)
    assert book.survived({number}, now=2 * SETTLED_S + 1)
    assert book.suspects == {}
    # The deaths that made it a suspect are used up: one more is the first again.
    assert _kinds(book, _span(0, 3)) == [[]]


def test_a_crash_over_a_quarantined_record_has_another_cause() -> None:
    """A quarantined record is not even processed, so it can't be the cause."""
    book = PoisonPillTracker()
    _kinds(book, *[_span(7, 7)] * 4)
    assert _kinds(book, _span(7, 7)) == [["not_a_record"]]


@pytest.mark.parametrize(
    ("committed", "last"), [([0, 1, 2, 3], "not_a_record"), ([0, 1, 5, 6], "confirmed")]
)
def test_not_every_record_is_quarantined(committed: list[int], last: str) -> None:
    """Three in a row with nothing else committed between: the program is at fault."""
    book = PoisonPillTracker()
    found = [_kinds(book, *[_span(n, n)] * 4, committed=done) for n, done in enumerate(committed)]
    assert [kinds[-1] for kinds in found] == [["confirmed"]] * 3 + [[last]]


class _KilledError(Exception):
    """The simulated process dies."""


def _work(
    records: Sequence[Record], book: PoisonPillTracker, poison: set[int]
) -> tuple[int, list[int]]:
    """One life, as the worker goes about it: how many records it committed, which of them unread.

    It is over with the first piece that holds poison, which the book is told of.
    """
    done, unread = 0, []
    batch = Batch(list(records), {})
    suspects, quarantined = tuple(book.suspects.values()), tuple(book.quarantined.values())
    for sub_batch in split(batch, suspects, dict.fromkeys(quarantined, QUARANTINED)):
        places = {record.offset for record in sub_batch.batch.records}
        if sub_batch.forced == QUARANTINED:
            unread += sorted(places)
        elif places & poison:
            book.crashed(spans(sub_batch.batch.records), done)
            raise _KilledError(done, unread)
        done += len(places)
    return done, unread


def _records(offsets: Iterable[int]) -> list[Record]:
    return [Record(b"{}", None, (), 0, TOPIC, 0, offset) for offset in offsets]


@given(
    offsets=st.lists(st.integers(0, 500), min_size=1, max_size=200, unique=True).map(sorted),
    dice=st.randoms(use_true_random=False),
    batch=st.integers(1, 250),
)
def test_exactly_the_poison_is_found(offsets: list[int], dice: Random, batch: int) -> None:
    """Whatever the batches and gaps between offsets, exactly the poison pills are quarantined."""
    poison = set(dice.sample(offsets, min(3, len(offsets))))
    book, position, quarantined = PoisonPillTracker(), 0, []
    for _ in range(20 * (len(poison) + 1) + len(offsets)):
        if position == len(offsets):
            break
        try:
            done, unread = _work(_records(offsets[position : position + batch]), book, poison)
        except _KilledError as death:
            done, unread = death.args
        position += done
        quarantined += unread
    assert position == len(offsets)
    assert set(quarantined) == poison


class _Service:
    """A supervisor's world: processes that end as told, at a clock that moves when it waits."""

    def __init__(self, script: Iterable[tuple[int | None, Sequence[WorkerExit]]]) -> None:
        self.now = 1000.0
        self.script = deque(script)
        self.started: list[tuple[int, float]] = []
        self.living: set[int] = set()
        self.orders: list[str] = []
        self.marks: list[tuple[dict[int, Span], dict[int, Span]]] = []
        self.work: dict[int, tuple[Sequence[Span], Sequence[int]]] = {}
        self.reasons: dict[int, str] = {}
        self.hanging: set[int] = set()
        self.has_begun = True
        self.commits = 0

    def clock(self) -> float:
        return self.now

    def start(self, slot: int) -> int:
        assert slot not in self.living
        self.started.append((slot, self.now - 1000))
        self.living.add(slot)
        return 100 + slot

    def alive(self) -> int:
        return len(self.living)

    def wait(self, timeout_s: float) -> tuple[int | None, Sequence[tuple[int, int, bool]]]:
        self.now += timeout_s
        assert self.now < 2000, "it does not end"
        if not self.script or timeout_s < 1:
            return None, ()
        received, ended = self.script.popleft()
        self.living -= {each.slot for each in ended}
        return received, [each[:3] for each in ended]

    def ask_to_stop(self) -> None:
        self.orders.append("stop")

    def stuck(self) -> dict[int, str]:
        return dict.fromkeys(self.hanging & self.living, "the loop stands still")

    def end_stuck(self, slot: int) -> None:
        self.orders.append(f"end {slot}")
        self.hanging.discard(slot)
        self.script.appendleft((None, [_end(slot, -signal.SIGABRT)]))

    def kill(self) -> None:
        if self.living:
            self.orders.append("kill")
        self.living.clear()

    def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
        self.marks.append((dict(suspects), dict(quarantined)))

    def at_work(self, slot: int) -> tuple[Sequence[Span], Sequence[int]]:
        return self.work.get(slot, ((), ()))

    def reason(self, slot: int) -> str:
        return self.reasons.get(slot, "")

    def clear(self, slot: int) -> None:
        self.work.pop(slot, None)
        self.reasons.pop(slot, None)

    def began(self) -> bool:
        return self.has_begun

    def consumed(self) -> int:
        return self.commits

    def ended(self, slot: int) -> int:
        del slot
        return self.commits

    def tick(self, workers: int) -> None:
        assert workers == len(self.living)

    def log(self, workers: int) -> None:
        assert workers == 0

    def run(self, workers: int = 2, grace_s: float = 5.0) -> SupervisorResult:
        pauses = RestartDelays(give_up=3)
        return Supervisor(
            workers, self, self, self, delays=pauses, grace_s=grace_s, clock=self.clock
        ).run()


def _end(slot: int, status: int) -> WorkerExit:
    return WorkerExit(slot, status, out_of_memory=False)


BOTH_END = (None, [_end(0, 0), _end(1, 0)])
STOP = (signal.SIGTERM, ())


def test_all_workers_are_stopped_and_waited_for() -> None:
    """All workers are asked once; the result is that of a lone worker."""
    service = _Service([STOP, BOTH_END])
    assert service.run() == (0, "")
    assert service.orders == ["stop"]
    assert service.started == [(0, 0.0), (1, 0.0)]


def test_a_stuck_worker_is_ended_and_started_again() -> None:
    """The supervisor ends the one that hangs; the other goes on, and the log says why."""
    service = _Service([*[(None, ())] * 5, STOP, BOTH_END])
    service.hanging.add(1)
    with structlog.testing.capture_logs() as lines:
        assert service.run() == (0, "")
    assert service.orders == ["end 1", "stop"]
    assert [slot for slot, _ in service.started] == [0, 1, 1]
    stuck = [line for line in lines if line["event"] == "worker_stuck"]
    assert [(line["worker"], line["cause"]) for line in stuck] == [(1, "the loop stands still")]


class _Suspended(_Service):
    """A machine that was suspended for a while."""

    def wait(self, timeout_s: float) -> tuple[int | None, Sequence[tuple[int, int, bool]]]:
        if len(self.script) == 4:
            self.now += 300
            self.hanging = {0, 1}
        if len(self.script) == 3:
            self.hanging.clear()  # the workers have reported again
        return super().wait(timeout_s)


def test_nobody_is_ended_because_the_machine_was_suspended() -> None:
    """Workers that had no time to report are not stuck; neither had the supervisor."""
    service = _Suspended([*[(None, ())] * 5, STOP, BOTH_END])
    assert service.run() == (0, "")
    assert service.orders == ["stop"]


def test_the_reason_of_a_worker_is_passed_on() -> None:
    """The worker's last sentence is in the log, and in the supervisor's own last one."""
    service = _Service([(None, [_end(1, ExitCode.FENCED)]), (None, [_end(0, 0)])])
    service.reasons = {1: "another live process uses the same group.instance.id"}
    with structlog.testing.capture_logs() as lines:
        outcome = service.run()
    assert outcome == (
        ExitCode.FENCED,
        "worker 1 ended with exit code 3: another live process uses the same group.instance.id",
    )
    causes = [line.get("cause") for line in lines if line["event"] == "worker_ended"]
    assert causes == ["another live process uses the same group.instance.id", None]


@pytest.mark.parametrize("status", [0, 1, 5, 6, 70, 99, -signal.SIGKILL, -signal.SIGSEGV])
def test_a_worker_is_restarted_after_a_delay(status: int) -> None:
    """An exit that may not happen again is followed by a restart, after a delay."""
    service = _Service([(None, [_end(1, status)]), (None, ()), STOP, BOTH_END])
    service.work = {slot: ([_span(0, 9)], ()) for slot in range(2)}
    assert service.run() == (0, "")
    assert service.started == [(0, 0.0), (1, 0.0), (1, 2.0)]
    assert service.work == {}  # what the dead one said is not taken for the next one's word


@pytest.mark.parametrize("status", [ExitCode.USAGE, ExitCode.FENCED, ExitCode.DATA_LOSS])
def test_an_exit_that_needs_an_operator_stops_all_workers(status: ExitCode) -> None:
    """All workers stop in good order, and the supervisor exits with the same code."""
    service = _Service([(None, [_end(1, status)]), (None, [_end(0, 0)])])
    code, sentence = service.run()
    assert (code, service.orders) == (status, ["stop"])
    assert sentence == f"worker 1 ended with exit code {status}: {status.meaning}"
    assert len(service.started) == 2


def test_a_missing_kafka_at_the_start_stops_all_workers() -> None:
    """Later the same exit is only a reason to try again."""
    service = _Service([(None, [_end(1, ExitCode.KAFKA)]), (None, [_end(0, ExitCode.KAFKA)])])
    service.has_begun = False
    assert service.run().code == ExitCode.KAFKA
    assert len(service.started) == 2


def test_a_worker_that_never_commits_ends_the_service() -> None:
    """A worker that keeps exiting without a commit ends the service, so that somebody looks."""
    lives = [each for wait in (1, 2, 4) for each in [(None, [_end(0, 99)]), *[(None, ())] * wait]]
    service = _Service([*lives, (None, [_end(0, 99)]), (None, [_end(1, 0)])])
    code, sentence = service.run()
    assert code == ExitCode.INTERNAL
    assert (
        sentence == "worker 0 ended with exit code 99: it keeps exiting without committing anything"
    )
    assert [start for slot, start in service.started if slot == 0] == [0, 2, 5, 10]


@pytest.mark.parametrize(
    ("stopped", "code"),
    [
        (_end(0, ExitCode.BREAKER), ExitCode.BREAKER),
        (_end(0, -signal.SIGTERM), 0),
        (_end(0, -signal.SIGSEGV), ExitCode.INTERNAL),
    ],
)
def test_the_exit_code_of_a_stop_is_that_of_an_unclean_worker(
    stopped: WorkerExit, code: int
) -> None:
    """A worker that does not stop cleanly is reported; one that did not listen yet is not."""
    assert _Service([STOP, (None, [stopped, _end(1, 0)])]).run().code == code


def test_workers_are_killed_after_the_grace_period() -> None:
    """Workers that do not exit in time are killed."""
    service = _Service([STOP])
    assert service.run() == (128 + signal.SIGKILL, "")
    assert service.orders == ["stop", "kill"]
    assert 1000 + 6 < service.now <= 1000 + 9


def test_a_second_signal_kills_all_workers() -> None:
    """A second signal kills all workers at once."""
    service = _Service([STOP, (signal.SIGINT, ())])
    assert service.run(grace_s=600) == (128 + signal.SIGINT, "")
    assert service.orders == ["stop", "kill"]
    assert service.now < 1010


def test_no_worker_is_left_behind() -> None:
    """Whatever goes wrong in the supervisor itself, its workers end with it."""

    class _Broken(_Service):
        def wait(self, timeout_s: float) -> tuple[int | None, Sequence[tuple[int, int, bool]]]:
            raise OSError(timeout_s)

    service = _Broken([])
    with pytest.raises(OSError, match="0"):
        service.run()
    assert service.orders == ["kill"]


def test_all_workers_are_told_of_suspects() -> None:
    """Deaths over the same records are told to everybody, and so is that they were survived."""

    class _Dying(_Service):
        def start(self, slot: int) -> int:
            if slot == 0 and len(self.started) < 4:
                self.work[0] = [_span(0, 9)], ()
            return super().start(slot)

        def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
            super().mark(suspects, quarantined)
            self.work[1] = (), tuple(suspects)

    death = (None, [_end(0, -signal.SIGABRT)])
    service = _Dying([death, (None, ()), death, *[(None, ())] * 70, STOP, BOTH_END])
    assert service.run() == (0, "")
    (suspects, _), (later, _) = service.marks
    assert list(suspects.values()) == [_span(0, 9)]
    assert later == {}


def test_workers_that_crash_over_anything_end_the_service() -> None:
    """The service ends before every record is dead-lettered."""

    class _Dying(_Service):
        def start(self, slot: int) -> int:
            self.work[slot] = [_span(7, 7)], ()
            return super().start(slot)

    death = (None, [_end(0, -signal.SIGABRT)])
    service = _Dying([death, (None, ()), *[death] * 4])
    code, sentence = service.run(workers=1)
    assert code == ExitCode.INTERNAL
    assert "workers crash whatever record they process" in sentence


def test_each_worker_has_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slot has its own transactional id, and its own instance id if one was set."""
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    named, nameless = Settings(instance_id="w").for_worker(1), Settings().for_worker(1)
    assert (named.instance_id, named.transactional_id) == ("w-1", "track.track-pipeline.w-1")
    assert nameless.instance_id is None
    assert nameless.transactional_id == "track.track-pipeline.host-1"
