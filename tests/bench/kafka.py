"""End to end on a real Kafka: the worker against a bare pass-through loop.

Each contestant is a process of its own that reads the same raw topic under a group of its own,
and says what CPU time it used from its first commit on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from rich.console import Console

from pipeline.demo.generate import Generator
from pipeline.kafka import Publisher
from tests.bench.brokers import PARTITIONS, kafka_with_topics
from tests.bench.rounds import Contestant, run_rounds, show

_SECONDS: Final = 300


def measure_kafka(console: Console, rounds: int, events: int) -> None:
    """Print the end-to-end table."""
    with filled_kafka(console, events) as servers:
        contestants = {
            "pass-through, transactions": _contestant("passthrough", servers, events),
            "worker": _contestant("worker", servers, events),
        }
        _warm_up(contestants)
        title = f"end to end, {events} records, {PARTITIONS} partitions, {rounds} rounds"
        show(console, title, run_rounds(contestants, rounds), "goal: worker ≤ 2.0×")


def measure_replay(console: Console, rounds: int, events: int) -> None:
    """Print what a replay costs, against the worker on the same records."""
    with filled_kafka(console, events) as servers:
        contestants = {
            "worker": _contestant("worker", servers, events),
            "replay": _contestant("replay", servers, events),
            "replay --dry-run": _contestant("dry-run", servers, events),
        }
        _warm_up(contestants)
        title = f"replay, {events} records, {PARTITIONS} partitions, {rounds} rounds"
        show(console, title, run_rounds(contestants, rounds), "goal: replay ≤ 1.1×, dry run < 1×")


@contextmanager
def filled_kafka(console: Console, events: int) -> Iterator[str]:
    """A broker with the topics, and so many records in the raw one; its address."""
    with kafka_with_topics(console) as settings:
        with Publisher(settings.kafka) as publisher:
            for each in islice(Generator(7, invalid_share=0.02, batch_share=0), events):
                publisher.send("track.raw", each.value, each.key)  # now: retention looks at it
        console.print(f"· wrote {events} raw records")
        yield str(settings.kafka["bootstrap.servers"])


def _warm_up(contestants: dict[str, Contestant]) -> None:
    """The broker's Java compiles for the load, and the page cache fills."""
    for contestant in contestants.values():
        contestant()


def _contestant(name: str, servers: str, events: int) -> Contestant:
    numbers = iter(range(1_000_000))

    def run() -> float:
        group = f"bench-{name}-{next(numbers)}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.contestants", name, servers, group, str(events)],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
        return float(json.loads(done.stdout.splitlines()[-1])["cpu_us_per_event"])

    return run
