"""Several workers as one service: what follows from the end of each, and when all end.

A worker that ends is started again, after a pause that grows while it ends soon. There are ends
that a new start would not mend: then all workers are stopped, and the supervisor ends with the same
code. It never goes on with some of them, since a service that looks alive and does half of its work
is found out late. Who records are that kill their process is decided in `poison_pill`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import structlog

from pipeline.errors import ExitCode
from pipeline.ports import Span
from pipeline.worker.poison_pill import CrashFinding, PoisonPillTracker
from pipeline.worker.restart_policy import (
    FINAL,
    SIGNAL_BASE,
    RestartDelays,
    RestartPolicy,
    SupervisorResult,
    WorkerExit,
)

_SAME_REQUEST_S: Final = 0.25
"""Signals so close together are one request; see `worker/signals.py`."""
_LATE_S: Final = 1.0
"""Workers end by themselves when their grace time is over; they began to count a little later."""
_LONGEST_WAIT_S: Final = 1.0


class Processes(Protocol):
    """The workers as processes; each has a slot, from 0 on."""

    def start(self, slot: int) -> int:
        """Start one; its process id."""

    def alive(self) -> int:
        """How many there are."""

    def wait(self, timeout_s: float) -> tuple[int | None, Sequence[tuple[int, int, bool]]]:
        """Wait that long at most: a signal that asks to stop, if any, and the values of `WorkerExit`."""

    def ask_to_stop(self) -> None:
        """Let all workers finish what they have begun, and end."""

    def kill(self) -> None:
        """End all workers at once, and wait until they are gone."""


class WorkerStates(Protocol):
    """What workers and supervisor tell each other."""

    def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
        """Tell all workers, from their next batch on."""

    def at_work(self, slot: int) -> tuple[Sequence[Span], Sequence[int]]:
        """What a worker works on, and the numbers of the findings that it has survived."""

    def reason(self, slot: int) -> str:
        """Why a worker ended, in its own words; empty when it could not say so."""

    def clear(self, slot: int) -> None:
        """Forget what a dead worker said."""


class Statistics(Protocol):
    """The figures of all workers."""

    def began(self) -> bool:
        """Whether any worker has ever found Kafka and the topics as they should be."""

    def consumed(self) -> int:
        """Records committed since the start, by all workers."""

    def ended(self, slot: int) -> int:
        """Close the account of a worker that ended: how many records it has committed."""

    def tick(self, workers: int) -> None:
        """Log the line of the interval, when it is due; `workers` are alive."""

    def log(self, workers: int) -> None:
        """Log the line now."""


class _Slot:
    def __init__(self, pauses: RestartDelays) -> None:
        self.restarts = RestartPolicy(pauses)
        self.started = 0.0
        self.due: float | None = 0.0
        """When to start it; None while it lives."""


class Supervisor:
    """Keeps workers alive until it is asked to stop, or until one ends for good."""

    def __init__(  # noqa: PLR0913  made in one place, by keyword where it could be mixed up
        self,
        workers: int,
        processes: Processes,
        states: WorkerStates,
        statistics: Statistics,
        *,
        pauses: RestartDelays,
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = structlog.stdlib.get_logger("pipeline.supervisor")
        self._slots = [_Slot(pauses) for _ in range(workers)]
        self._processes = processes
        self._states = states
        self._statistics = statistics
        self._grace_s = grace_s
        self._clock = clock
        self._poison_pills = PoisonPillTracker()
        self._stopping: float | None = None
        self._signalled: float | None = None
        self._outcome = SupervisorResult(ExitCode.OK, "")

    def run(self) -> SupervisorResult:
        """Work until all workers have ended; none is left behind, whatever is raised."""
        try:
            while self._stopping is None or self._processes.alive():
                self._start_due()
                received, ended = self._processes.wait(self._patience())
                if received is not None:
                    self._signal(received)
                for each in ended:
                    self._ended(WorkerExit(*each))
                self._kill_late()
                self._follow()
                self._statistics.tick(self._processes.alive())
        finally:
            self._processes.kill()
        self._statistics.log(0)
        return self._outcome

    def _patience(self) -> float:
        dues = [slot.due - self._clock() for slot in self._slots if slot.due is not None]
        return max(0.0, min(_LONGEST_WAIT_S, *dues)) if dues else _LONGEST_WAIT_S

    def _start_due(self) -> None:
        if self._stopping is not None:
            return
        for number, slot in enumerate(self._slots):
            if slot.due is not None and slot.due <= self._clock():
                slot.due, slot.started = None, self._clock()
                pid = self._processes.start(number)
                self._log.info("worker_started", worker=number, pid=pid)

    def _ended(self, ended: WorkerExit) -> None:
        committed = self._statistics.ended(ended.slot)
        found = self._examine(ended)
        ended = ended._replace(reason=self._states.reason(ended.slot))
        self._states.clear(ended.slot)
        if self._stopping is not None:
            self._ended_while_stopping(ended)
            return
        slot = self._slots[ended.slot]
        outcome = self._final(ended, found)
        pause = slot.restarts.pause(
            ended,
            lived_s=self._clock() - slot.started,
            committed=bool(committed),
            found=any(finding.kind != "not_a_record" for finding in found),
        )
        if outcome is None and pause is None:
            outcome = ended.outcome("it ends again and again without a commit")
        if outcome is not None or pause is None:
            self._tell_end(ended, "all workers stop")
            self._stop(outcome or self._outcome)
            return
        self._tell_end(ended, f"started again in {pause:.0f} s")
        slot.due = self._clock() + pause

    def _examine(self, ended: WorkerExit) -> list[CrashFinding]:
        """What the death of a worker shows about the records that it worked on."""
        if self._stopping is not None or not ended.crashed:
            return []
        spans, _ = self._states.at_work(ended.slot)
        found = self._poison_pills.died(spans, self._statistics.consumed())
        for kind, span in found:
            self._log.error(f"crash_{kind}", worker=ended.slot, **span._asdict())
        if found:
            self._states.mark(self._poison_pills.suspects, self._poison_pills.quarantined)
        return found

    def _final(self, ended: WorkerExit, found: Sequence[CrashFinding]) -> SupervisorResult | None:
        """Why nothing is started again; None when it is."""
        if ended.status in FINAL:
            return ended.outcome()
        if any(finding.kind == "not_a_record" for finding in found):
            return ended.outcome(
                "workers die whatever record they work on, so it is not the records that kill "
                "them; no more are dead-lettered for it. Look for a broken or new library, or too "
                "little memory",
            )
        if ended.status == ExitCode.KAFKA and not self._statistics.began():
            return ended.outcome()
        return None

    def _ended_while_stopping(self, ended: WorkerExit) -> None:
        self._tell_end(ended, "stopping")
        # One that was stopped before it could listen dies of the signal itself.
        if ended.status not in {ExitCode.OK, -signal.SIGTERM} and not self._outcome.code:
            self._outcome = ended.outcome()

    def _tell_end(self, ended: WorkerExit, follows: str) -> None:
        log = self._log.info if ended.status == ExitCode.OK else self._log.warning
        why = {"cause": ended.reason} if ended.reason else {}
        log("worker_ended", worker=ended.slot, how=ended.how, **why, next=follows)

    def _signal(self, number: int) -> None:
        now = self._clock()
        if self._signalled is None:
            self._signalled = now
            if self._stopping is None:
                self._stop(self._outcome)
        elif now - self._signalled > _SAME_REQUEST_S:
            self._outcome = SupervisorResult(SIGNAL_BASE + number, "")
            self._processes.kill()

    def _stop(self, outcome: SupervisorResult) -> None:
        self._log.info("stopping", workers=self._processes.alive())
        self._outcome = outcome
        self._stopping = self._clock()
        self._processes.ask_to_stop()

    def _kill_late(self) -> None:
        """As a lone worker does when its grace time is over."""
        late = self._stopping is not None and (
            self._clock() - self._stopping > self._grace_s + _LATE_S
        )
        if late and self._processes.alive():
            if not self._outcome.code:
                self._outcome = SupervisorResult(SIGNAL_BASE + signal.SIGKILL, "")
            self._processes.kill()

    def _follow(self) -> None:
        """Drop what workers have survived."""
        passed: Collection[int] = {
            number for slot in range(len(self._slots)) for number in self._states.at_work(slot)[1]
        }
        if self._poison_pills.survived(passed, self._clock()):
            self._states.mark(self._poison_pills.suspects, self._poison_pills.quarantined)
