"""Runs the real program with failpoints in its clients, and perhaps with one seeded bug.

    python -m tests.system.chaos.worker_main run

CHAOS_FAILPOINT names the file of the failpoint, CHAOS_SEEDED_BUG one of `SEEDED_BUGS` or of
`ALERTING_BUGS`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from pipeline.cli.main import main
from pipeline.kafka import clients
from pipeline.worker.observe import LogMeter
from tests.system.chaos.alerts.bugs import ALERTING_BUGS
from tests.system.chaos.failpoints import Failpoints, Point, log_event
from tests.system.chaos.seeded_bugs import SEEDED_BUGS

FAILPOINT_VARIABLE: Final = "CHAOS_FAILPOINT"
SEEDED_BUG_VARIABLE: Final = "CHAOS_SEEDED_BUG"
_PR_SET_PDEATHSIG: Final = 1


def install(failpoints: Failpoints) -> None:
    """Add failpoints to all clients that sessions make, and to the search for rejected records."""
    made: Any = clients
    meter: Any = LogMeter
    made.Producer = _producer(failpoints)
    made.Consumer = _consumer(failpoints)
    bisecting = LogMeter.bisecting

    def reported(self: LogMeter, records: int, cause: str) -> None:
        bisecting(self, records, cause)
        failpoints.reached(Point.BISECTING)

    meter.bisecting = reported


def patch_clock(failpoints: Failpoints) -> None:
    """Let failpoints step Python's wall clock; the clock of the C client stays as it is."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + failpoints.clock_step_s
    time.time_ns = lambda: now_ns() + int(failpoints.clock_step_s * 1e9)


def _producer(failpoints: Failpoints) -> type[Producer]:
    class FailpointProducer(Producer):
        def begin_transaction(self) -> None:
            super().begin_transaction()
            failpoints.reached(Point.BEFORE_PRODUCE)

        def send_offsets_to_transaction(self, *arguments: Any) -> None:
            failpoints.reached(Point.AFTER_PRODUCE)
            super().send_offsets_to_transaction(*arguments)
            failpoints.reached(Point.AFTER_SEND_OFFSETS)

        def commit_transaction(self, *arguments: Any) -> None:
            failpoints.reached(Point.DURING_COMMIT)
            super().commit_transaction(*arguments)
            failpoints.reached(Point.AFTER_COMMIT)

    return FailpointProducer


def _consumer(failpoints: Failpoints) -> type[Consumer]:
    class FailpointConsumer(Consumer):
        def consume(self, *arguments: Any, **keywords: Any) -> list[Message]:
            messages = super().consume(*arguments, **keywords)
            failpoints.reached(Point.AFTER_CONSUME)
            return messages

        def seek(self, partition: TopicPartition) -> None:
            if not failpoints.reached(Point.SEEK):
                super().seek(partition)

        def subscribe(self, topics: list[str], *others: Any, **callbacks: Any) -> None:
            logged = {name: _logged(name, callback) for name, callback in callbacks.items()}
            super().subscribe(topics, *others, **logged)

    return FailpointConsumer


def _logged(name: str, callback: Callable[..., None]) -> Callable[..., None]:
    """A rebalance callback that logs each call."""

    def call(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log_event("rebalance", kind=name, partitions=sorted(each.partition for each in partitions))
        callback(consumer, partitions)

    return call


def die_with_parent() -> None:
    """Let Linux kill this process when the engine ends, for whatever reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    installed = Failpoints(Path(os.environ[FAILPOINT_VARIABLE]))
    install(installed)
    patch_clock(installed)
    if SEEDED_BUG_VARIABLE in os.environ:
        (SEEDED_BUGS | ALERTING_BUGS)[os.environ[SEEDED_BUG_VARIABLE]]()
    main()
