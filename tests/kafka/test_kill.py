"""Killed at any moment and started again: readers see every event exactly once."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Collection, Mapping
from itertools import islice

import pytest

from pipeline.core.record import Role
from pipeline.demo.generate import Generator
from pipeline.kafka import Publisher
from tests.brokers import RECENT
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LATEST_MOMENT_S = 0.08
"""A transaction takes about as long, so that every phase of one is hit."""
MAX_ROUNDS = 10
"""Kills of this many rounds can't all have hit a moment in which nothing was open."""


def _fill(pipeline: Pipeline, seed: int, enough: int) -> int:
    """Write so many events; the number of records that they are in."""
    records = 0
    events = 0
    with Publisher({"bootstrap.servers": pipeline.servers}) as publisher:
        for each in Generator(seed, invalid_share=0.03, batch_share=0.05):
            publisher.send(pipeline.names.raw, each.value, each.key, RECENT + records)
            records += 1
            events += each.events
            if events >= enough:
                return records
    raise AssertionError


def _kill_at_random(pipeline: Pipeline, events: int, kills: int, **settings: str) -> None:
    """Kill the worker so many times while it reads so many more events, and let it finish."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  to repeat a failure
    dice = random.Random(seed)  # noqa: S311  moments, not secrets
    before = pipeline.committed()
    records = _fill(pipeline, seed, events)

    def start() -> subprocess.Popen[bytes]:
        # Small transactions: many of them, and kills in all of their phases.
        small = {"batch__max_records": "500", "batch__linger_ms": "20"}
        return pipeline.start("w1", **small, **settings)

    worker, started = start(), 0
    for goal in sorted(dice.randrange(records * 95 // 100) for _ in range(kills)):
        pipeline.wait_for(
            lambda goal=before + goal: pipeline.committed() >= goal,  # type: ignore[misc]
            f"reaching offset {before + goal}",
        )
        moment = time.monotonic() + dice.uniform(0, LATEST_MOMENT_S)
        while time.monotonic() < moment:
            pass  # the moment itself is what is random here; nothing is awaited
        assert worker.poll() is None, pipeline.text()[-3000:]
        worker.kill()
        worker.wait(PATIENCE_S)
        started = len(pipeline.lines("topics"))
        worker = start()
    pipeline.wait_until_done()
    # The last one may have nothing left to do, and be terminated before it listens.
    pipeline.wait_for(lambda: len(pipeline.lines("topics")) > started, "the last start")
    assert terminate(worker) == 0


def _records(written: Mapping[Role, Collection[object]]) -> int:
    return sum(map(len, written.values()))


def test_killed_twenty_times(pipeline: Pipeline) -> None:
    """20 SIGKILLs while 100,000 events are read: nothing lost, doubled or changed."""
    _kill_at_random(pipeline, 100_000, 20)
    # All of them may have hit a moment between two transactions, or before one is sent.
    for _ in range(MAX_ROUNDS):
        committed = pipeline.found()
        assert committed == pipeline.expected()
        if _records(pipeline.found("read_uncommitted")) > _records(committed):
            return  # a transaction was left open, and aborted by the next start
        _kill_at_random(pipeline, 10_000, 4)
    pytest.fail(f"{20 + 4 * MAX_ROUNDS} kills left no transaction open")


def test_killed_with_at_least_once(pipeline: Pipeline) -> None:
    """Without transactions a kill doubles events, but loses and changes none."""
    # A kill between two batches doubles nothing, and all of a round may happen to be such kills.
    for _ in range(MAX_ROUNDS):
        _kill_at_random(pipeline, 10_000, 4, delivery="at-least-once")
        found, expected = pipeline.found(), pipeline.expected()
        assert {role: set(written) for role, written in found.items()} == {
            role: set(written) for role, written in expected.items()
        }
        if _records(found) > _records(expected):
            return
    pytest.fail(f"{4 * MAX_ROUNDS} kills doubled nothing")


def test_the_comparison_can_fail(pipeline: Pipeline) -> None:
    """A lost and a doubled event are seen by the comparison that the test above relies on."""
    with Publisher({"bootstrap.servers": pipeline.servers}) as publisher:
        for each in islice(Generator(3), 50):
            publisher.send(pipeline.names.raw, each.value, each.key, RECENT)
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    found = pipeline.found()
    assert found == pipeline.expected()
    for role, written in found.items():
        assert {**found, role: written[1:]} != pipeline.expected()
        assert {**found, role: [*written, written[-1]]} != pipeline.expected()
