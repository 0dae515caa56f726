"""The process of the embedded Kafka, from the owner's side; `guard.py` is the other side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_GUARD: Final = Path(__file__).with_name("guard.py")
_TERMINATE: Final = b"T"
_KILL: Final = b"K"
_TERM_DEADLINE_S: Final = 10.0
_KILL_DEADLINE_S: Final = 10.0


class GuardedProcess:
    """A command under a guard: it ends on request, and when its owner ends in any way.

    Args:
        command: The program's absolute path, and its arguments.
        log: File that its output is appended to.
        litter: Folder that the guard removes when the owner is gone.
    """

    def __init__(self, command: Sequence[str], log: Path, litter: Path | None) -> None:
        self._start = log.stat().st_size if log.exists() else 0
        self._log = log
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(log), str(litter or "")]
        self._guard = subprocess.Popen(  # noqa: S603  our own script
            [*guard, *command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self.pid = self._read_pid()
        except BaseException:
            self.end(kill=True)
            raise

    def _read_pid(self) -> int:
        """Process id of the command itself; 0 when the guard could not start it."""
        assert self._guard.stdout is not None  # noqa: S101  it is a pipe
        return int(self._guard.stdout.readline() or 0)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the command; 128 + signal when a signal ended it, None while it runs."""
        return self._guard.poll()

    @property
    def output(self) -> bytes:
        """Output of the command so far, without earlier content of the log."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._start)
                return file.read()
        except FileNotFoundError:
            return b""

    def ended_within(self, seconds: float) -> bool:
        """Wait for the command's end, this long at most; return whether it has ended."""
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self, *, kill: bool = False) -> None:
        """End the command by SIGTERM, or at once by SIGKILL; also when this call is interrupted."""
        try:
            if not kill:
                self._tell(_TERMINATE)
                self.ended_within(_TERM_DEADLINE_S)
        finally:
            self._tell(_KILL)
            if not self.ended_within(_KILL_DEADLINE_S):
                os.killpg(self._guard.pid, signal.SIGKILL)  # the guard is stuck: both of them
                self._guard.wait()
            for pipe in (self._guard.stdin, self._guard.stdout):
                if pipe is not None:
                    pipe.close()

    def _tell(self, order: bytes) -> None:
        assert self._guard.stdin is not None  # noqa: S101  it is a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended
            self._guard.stdin.write(order)
