"""Signals that ask to stop."""

from __future__ import annotations

import subprocess
import sys

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
