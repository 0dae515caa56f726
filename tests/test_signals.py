"""Signals that ask to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import TIMEOUT_S, environment

_SCRIPT = """
import os, signal
from pipeline.edges.signals import stopping_on_signals
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
with stopping_on_signals() as stop:
    assert not stop.is_set()
    os.kill(os.getpid(), signal.{name})
    assert stop.wait(10)
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_within_a_block(name: str) -> None:
    """A signal sets the event; behind the block it does what it did before."""
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(name=name)],
        env=environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0


_LISTENER = """
import signal
from pipeline.edges.signals import Signals
signals = Signals({signal.SIGTERM, signal.SIGCHLD})
print("ready", flush=True)
while (heard := signals.next(0.02)) is None:
    pass
print(signal.Signals(heard).name)
"""


def test_signal_after_pauses() -> None:
    """A process that is paused longer than it waits hears only what somebody has sent."""
    with subprocess.Popen(
        [sys.executable, "-c", _LISTENER], env=environment(), stdout=subprocess.PIPE, text=True
    ) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        for _ in range(5):
            listener.send_signal(signal.SIGSTOP)
            _await_stopped(listener.pid)
            time.sleep(0.05)  # longer than it waits
            listener.send_signal(signal.SIGCONT)
        listener.send_signal(signal.SIGTERM)
        out, _ = listener.communicate(timeout=TIMEOUT_S)
    assert (listener.returncode, out) == (0, "SIGTERM\n")


def _await_stopped(pid: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while "State:\tT" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii"):
        assert time.monotonic() < deadline
