"""Signals that ask to stop."""

from __future__ import annotations

import os
import signal

import pytest

from pipeline.edges.signals import stopping_on_signals
from tests.cli.program import TIMEOUT_S


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_within_a_block(number: signal.Signals) -> None:
    """A signal sets the event; behind the block it does what it did before."""
    before = signal.getsignal(number)
    with stopping_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(TIMEOUT_S)
    assert signal.getsignal(number) == before
