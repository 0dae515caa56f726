"""The worker's memory is bounded, whatever the records and however slow the broker."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from tests.brokers import RECENT, Sent, produce, unique
from tests.kafka.worker_process import Pipeline, terminate

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PARTITIONS: Final = 8
ROUNDS: Final = 30
MEGABYTE: Final = 950_000
LIMIT_MB: Final = 512
"""As docs/how-to/operate.md states it, for the default settings."""
NOISE: Final = random.Random(3).randbytes(MEGABYTE // 2).hex()  # noqa: S311  no secret
ENVELOPE_CONTEXT: Final = 60_000


def _large_event(number: int) -> bytes:
    return json.dumps(
        {"event": "Large", "userId": f"u{number}", "properties": {"x": NOISE}}
    ).encode()


def _large_envelope(number: int) -> bytes:
    """A batch whose items all get a large context: sixteen times as much goes out as came in."""
    items = [{"event": "Small", "userId": f"u{number}.{item}"} for item in range(200)]
    context = {"noise": NOISE[:ENVELOPE_CONTEXT]}
    return json.dumps({"batch": items, "context": context}).encode()


@contextmanager
def _slow(broker: int) -> Iterator[None]:
    """Let a process work for a fifth of the time only."""
    done = threading.Event()

    def stutter() -> None:
        for turn in itertools.count():
            os.kill(broker, signal.SIGCONT if turn % 2 else signal.SIGSTOP)
            if done.wait(0.05 if turn % 2 else 0.2):
                break
        os.kill(broker, signal.SIGCONT)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def peak_mb(pid: int) -> float:
    """Largest resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    return int(kib) / 1024


@pytest.fixture
def wide_pipeline(own_kafka: LocalKafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of eight partitions on a broker of the test's own."""
    made = Pipeline(own_kafka.bootstrap_servers, unique, tmp_path)
    made.create_topics(PARTITIONS)
    yield made
    made.end_all()


def _write_large_records(pipeline: Pipeline) -> None:
    numbers = itertools.count()
    produce(
        pipeline.servers,
        pipeline.names.raw,
        (
            Sent(value, None, (), RECENT, partition)
            for _ in range(ROUNDS)
            for partition in range(PARTITIONS)
            for value in [(_large_envelope if partition == 3 else _large_event)(next(numbers))]
        ),
    )


def test_large_records_and_a_slow_broker(wide_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """Eight partitions of records of one megabyte, and envelopes that swell, stay in the limit."""
    _write_large_records(wide_pipeline)
    worker = wide_pipeline.start()
    assert own_kafka.pid is not None
    wide_pipeline.wait_for(lambda: wide_pipeline.committed() > 0, "the first commit")
    with _slow(own_kafka.pid):
        wide_pipeline.wait_for(lambda: wide_pipeline.committed() > 50, "part of the work")
    wide_pipeline.wait_until_done()
    peak = peak_mb(worker.pid)
    assert terminate(worker) == 0
    assert peak < LIMIT_MB
    assert wide_pipeline.lines("recovering") == []
