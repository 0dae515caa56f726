"""Calls that never return are given up; all others behave as if they were made directly."""

from __future__ import annotations

import threading

import pytest

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.call_timeout import TimedCalls


def test_a_call_that_returns_is_made_once() -> None:
    """A call is made once, and the next one after it."""
    made: list[int] = []
    calls = TimedCalls()
    calls.call(lambda: made.append(1), 60, "first")
    calls.call(lambda: made.append(2), 60, "second")
    calls.end()
    assert made == [1, 2]


def test_what_it_raises() -> None:
    """The caller meets the error itself, and can go on."""
    calls = TimedCalls()
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 // 0, 60, "dividing")
    calls.call(lambda: None, 60, "nothing")
    calls.end()


def test_a_call_that_never_returns_is_left_behind() -> None:
    """A call that never returns is left behind with a sentence that says which it was."""
    release = threading.Event()
    calls = TimedCalls()
    with pytest.raises(OutcomeUnknownError, match="committing: the Kafka client did not return"):
        calls.call(release.wait, 0.01, "committing")
    release.set()
    calls.end()
