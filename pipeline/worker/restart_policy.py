"""The end of a worker: what it says, and when the worker is started again."""

from __future__ import annotations

import signal
from typing import Final, NamedTuple

from pipeline.errors import ExitCode

FINAL: Final = frozenset({ExitCode.USAGE, ExitCode.FENCED, ExitCode.DATA_LOSS})
"""Codes after which a person is needed; two that fence each other would do so for ever."""
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
"""Signals that a process brings upon itself."""
SIGNAL_BASE: Final = 128
_MEANINGS: Final = {int(code): code.meaning for code in ExitCode}


class SupervisorResult(NamedTuple):
    """How the supervisor ends."""

    code: int
    sentence: str
    """What is wrong; empty when nothing is."""


class WorkerExit(NamedTuple):
    """The end of a worker."""

    slot: int
    status: int
    """Exit code, or the negative number of the signal that killed it."""
    out_of_memory: bool
    """Whether the system has killed processes for want of memory just now."""
    reason: str = ""
    """Why, in the worker's own words; empty when it could not say so."""

    @property
    def crashed(self) -> bool:
        """Whether what it worked on may have killed it; people and their tools use SIGKILL."""
        if self.status < 0:
            killed = -self.status == signal.SIGKILL and self.out_of_memory
            return killed or -self.status in _FAULTS
        if self.status > SIGNAL_BASE:
            return self.status - SIGNAL_BASE in _FAULTS
        return self.status not in _MEANINGS

    @property
    def how(self) -> str:
        """For people."""
        if self.status >= 0:
            return f"exit code {self.status}"
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    def outcome(self, why: str = "") -> SupervisorResult:
        """What the supervisor ends with because of this."""
        why = why or self.reason or _MEANINGS.get(self.status, "it did not end in good order")
        code = self.status if self.status in _MEANINGS else ExitCode.INTERNAL
        return SupervisorResult(code, f"worker {self.slot} ended with {self.how}: {why}")


class RestartDelays(NamedTuple):
    """When workers are started again; in seconds."""

    give_up: int
    """Ends in a row without a commit after which the supervisor gives up."""
    first_s: float = 1.0
    longest_s: float = 60.0
    healthy_s: float = 60.0
    """A life so long says that the worker is well."""


class RestartPolicy:
    """The pauses of one slot."""

    def __init__(self, pauses: RestartDelays) -> None:
        self._pauses = pauses
        self._ends = 0
        self._in_vain = 0

    def pause(
        self, ended: WorkerExit, *, lived_s: float, committed: bool, found: bool
    ) -> float | None:
        """Seconds until the next start after an end; None to give up.

        `found`: the search for a record that kills came nearer to its end, which each death does.
        """
        if found:
            self._in_vain = 0
            return 0.0
        # The worker's own tries to get on without Kafka may take longer than that.
        if lived_s >= self._pauses.healthy_s and ended.status != ExitCode.KAFKA:
            self._ends = self._in_vain = 0
        self._ends += 1
        self._in_vain = 1 if committed else self._in_vain + 1
        if self._in_vain > self._pauses.give_up:
            return None
        return min(self._pauses.longest_s, self._pauses.first_s * 2.0 ** min(self._ends - 1, 30))
