"""Several workers as one service: restarts after crashes, and when all of them stop.

A worker that exits is restarted, after a delay that grows while it keeps exiting soon. Some exits
can't be mended by a restart. Then all workers are stopped, and the supervisor exits with the same
code. It never carries on with only some of them: a service that looks alive and does half of its
work is noticed late. Which records crash their process is decided in `poison_pill`, and when to
restart in `restart_policy`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from pipeline.errors import ExitCode
from pipeline.ports import Span
from pipeline.worker.observe import get_logger
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
"""Workers exit by themselves at the end of their grace period, which began a little later."""
_FROZEN_S: Final = 5.0
"""A supervisor that has not looked for so long was suspended, and all its workers with it."""
_LONGEST_WAIT_S: Final = 1.0
"""How often the supervisor looks at its workers when nothing happens."""


class Processes(Protocol):
    """The workers as processes. Each has a slot, counted from 0."""

    def start(self, slot: int) -> int:
        """Start the worker of a slot and return its process id."""

    def alive(self) -> int:
        """Return the number of running workers."""

    def wait(self, timeout_s: float) -> tuple[int | None, Sequence[tuple[int, int, bool]]]:
        """Wait for a signal that requests a stop, and return it with the values of `WorkerExit`."""

    def ask_to_stop(self) -> None:
        """Let all workers finish their current transaction and exit."""

    def end_stuck(self, slot: int) -> None:
        """End a worker that hangs: first so that it leaves its stacks, the next time for sure."""

    def kill(self) -> None:
        """Kill all workers, and wait until they are gone."""


class WorkerStates(Protocol):
    """What workers report to the supervisor, and what it tells all of them."""

    def mark(self, suspects: Mapping[int, Span], quarantined: Mapping[int, Span]) -> None:
        """Publish suspect and quarantined spans; workers apply them from their next batch on."""

    def at_work(self, slot: int) -> tuple[Sequence[Span], Sequence[int]]:
        """Return the spans that a worker processes, and the findings that it has got past."""

    def reason(self, slot: int) -> str:
        """Return a worker's own last sentence; empty when it had no chance to leave one."""

    def clear(self, slot: int) -> None:
        """Forget what a worker that exited has reported."""


class Statistics(Protocol):
    """The counts of all workers together."""

    def began(self) -> bool:
        """Return whether any worker has ever reached Kafka and found the topics in order."""

    def consumed(self) -> int:
        """Return the number of records that all workers have committed since the start."""

    def stuck(self) -> Mapping[int, str]:
        """Return the workers that are stuck, each with the reason why it counts as stuck."""

    def ended(self, slot: int) -> int:
        """Close the account of an exited worker, and return how many records it had committed."""

    def tick(self, workers: int) -> None:
        """Log the line of the interval when it is due; `workers` is the number of running ones."""

    def log(self, workers: int) -> None:
        """Log the line now."""


class _WorkerSlot:
    def __init__(self, delays: RestartDelays) -> None:
        self.restarts = RestartPolicy(delays)
        self.started = 0.0
        self.due: float | None = 0.0
        """When to start the worker; None while it runs."""
        self.was_started = False


class Supervisor:
    """Keeps workers running until a stop is requested, or until one exits for good."""

    def __init__(  # noqa: PLR0913  made in one place, by keyword where it could be mixed up
        self,
        workers: int,
        processes: Processes,
        states: WorkerStates,
        statistics: Statistics,
        *,
        delays: RestartDelays,
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = get_logger("pipeline.supervisor")
        self._slots = [_WorkerSlot(delays) for _ in range(workers)]
        self._processes = processes
        self._states = states
        self._statistics = statistics
        self._grace_s = grace_s
        self._clock = clock
        self._poison_pills = PoisonPillTracker()
        self._stopping: float | None = None
        self._signalled: float | None = None
        self._outcome = SupervisorResult(ExitCode.OK, "")
        self._looked_at = clock()
        self._frozen_until = -_FROZEN_S
        self.restarts = 0
        """Number of workers that were started again."""

    def run(self) -> SupervisorResult:
        """Run until all workers have exited. None is left behind, whatever is raised."""
        try:
            while self._stopping is None or self._processes.alive():
                self._start_due()
                received, ended = self._processes.wait(self._patience())
                if received is not None:
                    self._signal(received)
                for each in ended:
                    self._handle_exit(WorkerExit(*each))
                self._end_stuck()
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
                self.restarts += slot.was_started
                slot.due, slot.started, slot.was_started = None, self._clock(), True
                pid = self._processes.start(number)
                self._log.info("worker_started", worker=number, pid=pid)

    def _handle_exit(self, ended: WorkerExit) -> None:
        committed = self._statistics.ended(ended.slot)
        found = self._examine(ended)
        ended = ended._replace(reason=self._states.reason(ended.slot))
        self._states.clear(ended.slot)
        if self._stopping is not None:
            self._ended_while_stopping(ended)
            return
        slot = self._slots[ended.slot]
        outcome = self._final(ended, found)
        delay = slot.restarts.delay(
            ended,
            lived_s=self._clock() - slot.started,
            committed=bool(committed),
            found=any(finding.kind != "not_a_record" for finding in found),
        )
        if outcome is None and delay is None:
            outcome = ended.outcome("it keeps exiting without committing anything")
        if outcome is not None or delay is None:
            self._log_exit(ended, "all workers stop")
            self._stop(outcome or self._outcome)
            return
        self._log_exit(ended, f"restarting in {delay:.0f} s")
        slot.due = self._clock() + delay

    def _examine(self, ended: WorkerExit) -> list[CrashFinding]:
        """Conclude from a crash which of the records being processed may have caused it."""
        if self._stopping is not None or not ended.crashed:
            return []
        spans, _ = self._states.at_work(ended.slot)
        found = self._poison_pills.crashed(spans, self._statistics.consumed())
        for kind, span in found:
            self._log.error(f"crash_{kind}", worker=ended.slot, **span._asdict())
        if found:
            self._states.mark(self._poison_pills.suspects, self._poison_pills.quarantined)
        return found

    def _final(self, ended: WorkerExit, found: Sequence[CrashFinding]) -> SupervisorResult | None:
        """Return why no worker is restarted; None when this one is."""
        if ended.status in FINAL:
            return ended.outcome()
        if any(finding.kind == "not_a_record" for finding in found):
            return ended.outcome(
                "workers crash whatever record they process, so the records are not the cause; no "
                "more of them are dead-lettered for it. Check for a broken or updated library, or "
                "too little memory",
            )
        if ended.status == ExitCode.KAFKA and not self._statistics.began():
            return ended.outcome()
        return None

    def _ended_while_stopping(self, ended: WorkerExit) -> None:
        self._log_exit(ended, "stopping")
        # A worker that was stopped before it handled signals is killed by the signal itself.
        if ended.status not in {ExitCode.OK, -signal.SIGTERM} and not self._outcome.code:
            self._outcome = ended.outcome()

    def _log_exit(self, ended: WorkerExit, follows: str) -> None:
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

    def _end_stuck(self) -> None:
        """End stuck workers, which are restarted; their stacks go to standard error."""
        now = self._clock()
        if now - self._looked_at > _FROZEN_S:
            self._frozen_until = now
        self._looked_at = now
        if now - self._frozen_until < _FROZEN_S:
            return  # the machine was suspended: the workers have had no time to report either
        for number, why in self._statistics.stuck().items():
            if self._slots[number].due is None:
                self._log.error("worker_stuck", worker=number, cause=why)
                self._processes.end_stuck(number)

    def _kill_late(self) -> None:
        """Kill workers that outlast the grace period, as a lone worker exits at its end."""
        late = self._stopping is not None and (
            self._clock() - self._stopping > self._grace_s + _LATE_S
        )
        if late and self._processes.alive():
            if not self._outcome.code:
                self._outcome = SupervisorResult(SIGNAL_BASE + signal.SIGKILL, "")
            self._processes.kill()

    def _follow(self) -> None:
        """Drop findings that workers have got past."""
        passed: Collection[int] = {
            number for slot in range(len(self._slots)) for number in self._states.at_work(slot)[1]
        }
        if self._poison_pills.survived(passed, self._clock()):
            self._states.mark(self._poison_pills.suspects, self._poison_pills.quarantined)
