"""Measures how long an event takes from the raw topic to a reader of committed enriched events.

Sender and reader are threads of this process, so that both read the same clock; the worker is a
process of its own. An event's time starts with the call that sends it and ends when the reader has
it in hand.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from pipeline.demo.generate import Generator
from pipeline.settings.model import Settings
from tests.bench.brokers import (
    PARTITIONS,
    RawValue,
    bench_settings,
    broker,
    create_topics,
    topic_flags,
)
from tests.bench.children import cores
from tests.bench.kafka import raw_values
from tests.bench.results import Cell, Column, Goal, Report, Result
from tests.bench.rounds import median_of, run_rounds
from tests.bench.running import start

RATE: Final = 2000
"""Events per second, evenly spaced."""
LINGERS_MS: Final = (10, 50, 100)
_GOAL_LINGER_MS: Final = 50
_GOAL_MS: Final = 100.0
_WITH_GOAL: Final = f"worker, linger {_GOAL_LINGER_MS} ms"
_WARM_UP_S: Final = 3.0
"""Not counted: the worker's first transactions."""
_READY_S: Final = 60.0
_LAST_S: Final = 15.0
"""How long to wait for the last events."""
_PROBE: Final = b"probe"
_COLUMNS: Final = (
    Column("variant"),
    Column("p50, ms", ".0f"),
    Column("p99, ms", ".0f"),
    Column("p99.9, ms", ".0f"),
    Column("largest, ms", ".0f"),
    Column("sender late, ms", ".0f"),
)


class Latency(NamedTuple):
    """Milliseconds of one run."""

    p50: float
    p99: float
    p999: float
    largest: float
    sender_late: float
    """How far the sender was behind its schedule at worst, which no latency includes."""


class _Bench(NamedTuple):
    """What all runs share."""

    servers: str
    different: list[RawValue]
    seconds: float
    core: str


def measure_latency(report: Report, rounds: int, seconds: float) -> None:
    """Measure the worker by the time that it collects records for a transaction."""
    different = list(raw_values(RATE, Generator(7, invalid_share=0, batch_share=0)))
    with broker(report) as servers:
        bench, numbers = _Bench(servers, different, seconds, cores()[-1]), count()

        def runner(variant: str, linger_ms: int) -> Callable[[], Latency]:
            return lambda: _run(bench, variant, f"latency-{next(numbers)}", linger_ms)

        variants = {f"worker, linger {each} ms": runner("worker", each) for each in LINGERS_MS}
        passthrough = f"pass-through, linger {_GOAL_LINGER_MS} ms"
        variants[passthrough] = runner("passthrough", _GOAL_LINGER_MS)
        variants[_WITH_GOAL]()  # the broker's Java compiles
        runs = run_rounds(variants, rounds)
    title = (
        f"latency, raw → read_committed, {RATE} events/s for {seconds:.0f} s, "
        f"{PARTITIONS} partitions, core: {bench.core}, {rounds} rounds"
    )
    rows: list[list[Cell]] = [
        [name, *(median_of(each, field) for field in Latency._fields)]
        for name, each in runs.items()
    ]
    p99 = median_of(runs[_WITH_GOAL], "p99")
    goal = Goal(f"{_WITH_GOAL}, p99", p99, _GOAL_MS, ".0f", " ms")
    report.add(Result(title, _COLUMNS, rows, [goal]))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary_ms(seconds: Sequence[float], sender_late: float) -> Latency:
    """Summarise latencies in seconds."""
    ordered = sorted(each * 1000 for each in seconds)
    p50, p99, p999 = (percentile(ordered, share) for share in (0.5, 0.99, 0.999))
    return Latency(p50, p99, p999, ordered[-1], sender_late * 1000)


def _run(bench: _Bench, variant: str, name: str, linger_ms: int) -> Latency:
    """Run on topics, and in a group, of this name."""
    flags = {**topic_flags(name), "group": name, "batch.linger_ms": str(linger_ms)}
    settings = bench_settings(bench.servers, flags)
    create_topics(settings, PARTITIONS)
    reader = Consumer({"bootstrap.servers": bench.servers, "group.id": "reader"})
    topic = settings.topics.enriched
    reader.assign([TopicPartition(topic, number, OFFSET_END) for number in range(PARTITIONS)])
    given = {"kafka.bootstrap.servers": bench.servers, **flags}
    sender = _Sender(settings, bench.different, RATE * (_WARM_UP_S + bench.seconds))
    with (
        tempfile.TemporaryDirectory() as folder,
        start(variant, given, Path(folder), core=bench.core) as worker,
    ):
        _wait_until_ready(reader, sender, worker.check)
        thread = threading.Thread(target=sender.run, daemon=True)
        thread.start()
        arrived = _read(reader, sender, worker.check)
        thread.join()
    reader.close()
    first = int(RATE * _WARM_UP_S)
    waited = [at - sent for at, sent in zip(arrived[first:], sender.sent[first:], strict=True)]
    return summary_ms(waited, sender.late)


class _Sender:
    """Sends events at an even rate, each with its number as the key."""

    def __init__(self, settings: Settings, different: list[RawValue], total: float) -> None:
        self._topic = settings.topics.raw
        self._different = different
        servers = settings.kafka["bootstrap.servers"]
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 1})
        self.sent = [0.0] * int(total)
        self.late = 0.0

    def probe(self) -> None:
        """Send one event that is not counted."""
        self._producer.produce(self._topic, self._different[0].value, _PROBE)
        self._producer.flush(1)

    def run(self) -> None:
        """Send all events."""
        begun, clock = time.perf_counter(), time.perf_counter
        for number in range(len(self.sent)):
            due = begun + number / RATE
            if (ahead := due - clock()) > 0:
                time.sleep(ahead)
            value = self._different[number % len(self._different)].value
            now = self.sent[number] = clock()
            self.late = max(self.late, now - due)
            self._producer.produce(self._topic, value, str(number).encode())
            self._producer.poll(0)
        self._producer.flush()


def _wait_until_ready(reader: Consumer, sender: _Sender, check: Callable[[], None]) -> None:
    """Wait until an event has come through, then until no more of these arrive."""
    deadline = time.monotonic() + _READY_S
    while _value_of(reader.poll(0.5)) is None:
        check()
        if time.monotonic() > deadline:
            raise TimeoutError("no event has come through")
        sender.probe()
    while _value_of(reader.poll(1.0)) is not None:
        pass


def _read(reader: Consumer, sender: _Sender, check: Callable[[], None]) -> list[float]:
    """Return when each event arrived."""
    arrived = [0.0] * len(sender.sent)
    left, last = len(arrived), time.monotonic()
    while left:
        message: Any = _value_of(reader.poll(0.5))
        if message is None:
            check()
            if time.monotonic() - last > _LAST_S:
                raise TimeoutError(f"{left} events have not arrived")
            continue
        now, last = time.perf_counter(), time.monotonic()
        if message.key() != _PROBE:
            arrived[int(message.key())] = now
            left -= 1
    return arrived


def _value_of(message: Any) -> Any:
    """Return the message; None for none, and for a notice of the client."""
    return None if message is None or message.error() is not None else message
