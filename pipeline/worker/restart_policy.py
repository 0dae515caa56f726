"""When a worker that exited is restarted, and what its exit means. Pure: no clock, no processes."""

from __future__ import annotations

import signal
from typing import Final, NamedTuple

from pipeline.errors import ExitCode

FINAL: Final = frozenset({ExitCode.USAGE, ExitCode.FENCED, ExitCode.DATA_LOSS})
"""Exit codes that need an operator. Restarted automatically, two workers with the same name would
keep fencing each other."""
_FAULTS: Final = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGABRT,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
"""Signals that are caused by the process itself."""
SIGNAL_BASE: Final = 128
"""A shell reports death by signal n as exit code 128 + n."""
_MEANINGS: Final = {int(code): code.meaning for code in ExitCode}


class SupervisorResult(NamedTuple):
    """How the supervisor itself ends."""

    code: int
    sentence: str
    """One sentence that says what is wrong; empty when nothing is."""


class WorkerExit(NamedTuple):
    """The exit of a worker process."""

    slot: int
    status: int
    """Exit code, or the negative number of the signal that killed it."""
    out_of_memory: bool
    """Whether the system has just killed processes for lack of memory."""
    reason: str = ""
    """The worker's own last sentence; empty when it had no chance to leave one."""

    @property
    def crashed(self) -> bool:
        """Whether the record being processed may have caused it.

        SIGKILL is what people and tools send.
        """
        if self.status < 0:
            killed = -self.status == signal.SIGKILL and self.out_of_memory
            return killed or -self.status in _FAULTS
        if self.status > SIGNAL_BASE:
            return self.status - SIGNAL_BASE in _FAULTS
        return self.status not in _MEANINGS

    @property
    def how(self) -> str:
        """The exit code or signal, in words."""
        if self.status >= 0:
            return f"exit code {self.status}"
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    def outcome(self, why: str = "") -> SupervisorResult:
        """Return the result with which the supervisor ends because of this exit."""
        why = why or self.reason or _MEANINGS.get(self.status, "it did not shut down cleanly")
        code = self.status if self.status in _MEANINGS else ExitCode.INTERNAL
        return SupervisorResult(code, f"worker {self.slot} ended with {self.how}: {why}")


class RestartDelays(NamedTuple):
    """The delays before restarts, in seconds, as in Kubernetes' CrashLoopBackOff."""

    give_up: int
    """Number of consecutive exits without a commit after which the supervisor gives up."""
    first_s: float = 1.0
    longest_s: float = 60.0
    healthy_s: float = 60.0
    """A worker that ran for so long counts as healthy: its next delay is the first again."""


class RestartPolicy:
    """Decides about the restarts of one slot."""

    def __init__(self, delays: RestartDelays) -> None:
        self._delays = delays
        self._exits = 0
        self._without_commit = 0

    def delay(
        self, ended: WorkerExit, *, lived_s: float, committed: bool, found: bool
    ) -> float | None:
        """Return the seconds until the next start after an exit; None to give up.

        `found` means that the exit brought the search for a poison pill forward, so that the worker
        is restarted at once.
        """
        if found:
            self._without_commit = 0
            return 0.0
        # The worker's own tries to get on without Kafka may take longer than that.
        if lived_s >= self._delays.healthy_s and ended.status != ExitCode.KAFKA:
            self._exits = self._without_commit = 0
        self._exits += 1
        self._without_commit = 1 if committed else self._without_commit + 1
        if self._without_commit > self._delays.give_up:
            return None
        return min(self._delays.longest_s, self._delays.first_s * 2.0 ** min(self._exits - 1, 30))
