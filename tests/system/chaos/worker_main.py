"""The real program, with clients that obey orders and perhaps one sabotage: test code only.

    python -m tests.system.chaos.worker_main run

CHAOS_ORDERS names the file of orders, CHAOS_SABOTAGE one of `sabotage.SABOTAGES`.
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
from tests.system.chaos.orders import Orders, Point, say
from tests.system.chaos.sabotage import SABOTAGES

ORDERS_VARIABLE: Final = "CHAOS_ORDERS"
SABOTAGE_VARIABLE: Final = "CHAOS_SABOTAGE"
_PR_SET_PDEATHSIG: Final = 1


def install(orders: Orders) -> None:
    """Let all clients that sessions make obey orders, and the search for refused records."""
    made: Any = clients
    meter: Any = LogMeter
    made.Producer = _producer(orders)
    made.Consumer = _consumer(orders)
    bisecting = LogMeter.bisecting

    def told(self: LogMeter, records: int, cause: str) -> None:
        bisecting(self, records, cause)
        orders.passing(Point.NARROWING)

    meter.bisecting = told


def patch_clock(orders: Orders) -> None:
    """Let Python's wall clock obey too; the client's own, in C, stays as it is."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + orders.clock_step_s
    time.time_ns = lambda: now_ns() + int(orders.clock_step_s * 1e9)


def _producer(orders: Orders) -> type[Producer]:
    class ObedientProducer(Producer):
        def begin_transaction(self) -> None:
            super().begin_transaction()
            orders.passing(Point.BEFORE_PRODUCE)

        def send_offsets_to_transaction(self, *arguments: Any) -> None:
            orders.passing(Point.AFTER_PRODUCE)
            super().send_offsets_to_transaction(*arguments)
            orders.passing(Point.AFTER_SEND_OFFSETS)

        def commit_transaction(self, *arguments: Any) -> None:
            orders.passing(Point.DURING_COMMIT)
            super().commit_transaction(*arguments)
            orders.passing(Point.AFTER_COMMIT)

    return ObedientProducer


def _consumer(orders: Orders) -> type[Consumer]:
    class ObedientConsumer(Consumer):
        def consume(self, *arguments: Any, **keywords: Any) -> list[Message]:
            messages = super().consume(*arguments, **keywords)
            orders.passing(Point.COLLECTING)
            return messages

        def seek(self, partition: TopicPartition) -> None:
            if not orders.passing(Point.SEEK):
                super().seek(partition)

        def subscribe(self, topics: list[str], *others: Any, **callbacks: Any) -> None:
            told = {name: _told(name, callback) for name, callback in callbacks.items()}
            super().subscribe(topics, *others, **told)

    return ObedientConsumer


def _told(name: str, callback: Callable[..., None]) -> Callable[..., None]:
    """A rebalance callback that leaves evidence."""

    def tell(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        say("rebalance", kind=name, partitions=sorted(place.partition for place in partitions))
        callback(consumer, partitions)

    return tell


def die_with_parent() -> None:
    """Let Linux kill this process when the engine is gone, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    given = Orders(Path(os.environ[ORDERS_VARIABLE]))
    install(given)
    patch_clock(given)
    if SABOTAGE_VARIABLE in os.environ:
        SABOTAGES[os.environ[SABOTAGE_VARIABLE]]()
    main()
