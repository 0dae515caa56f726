"""Signals that ask to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.program import TIMEOUT_S, environment, started

_SCRIPT = """
import os, signal
from pipeline.worker.signals import stopping_on_signals
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
with stopping_on_signals() as stop:
    assert not stop.is_set()
    os.kill(os.getpid(), signal.{name})
    assert stop.wait(10)
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_sets_the_event_within_the_block(name: str) -> None:
    """Within the block a signal sets the event; after it, it does what it did before."""
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(name=name)],
        env=environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0


_WITHOUT_TERMINAL = """
import os, signal
from pipeline.worker.signals import stopping_on_signals
with stopping_on_signals() as stop:
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(10)
    print("one signal was received")
    os.kill(os.getpid(), signal.SIGHUP)
"""


def test_a_hang_up_under_nohup_is_ignored() -> None:
    """A SIGHUP that was ignored at the start is neither a first nor a second request to stop."""
    ran = subprocess.run(
        ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", _WITHOUT_TERMINAL],
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, b"one signal was received\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_commands_end_in_order(number: signal.Signals) -> None:
    """A command that is told to end counts what it has done, and ends by that very signal."""
    with started("transform") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b'{"event":"A","userId":"u"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(number)
        lines = process.stderr.read().decode().splitlines()
    assert process.returncode == -number
    assert lines[0].split() == ["lines", "1"]
    assert lines[-1].startswith("stopped before the end")


_LISTENER = """
import signal
from pipeline.worker.signals import Signals
signals = Signals({signal.SIGTERM, signal.SIGCHLD})
print("ready", flush=True)
while (received := signals.next(0.02)) is None:
    pass
print(signal.Signals(received).name)
"""


def test_a_paused_process_receives_only_real_signals() -> None:
    """A process that is paused for longer than it waits receives only what was sent."""
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
