"""Measures the worker on a real Kafka against a bare pass-through loop.

Each variant is a process that reads the same raw topic in a group of its own, and reports the CPU
time that it used from its first commit on.
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
from tests.bench.rounds import Variant, run_rounds, show

_SECONDS: Final = 300


def measure_kafka(console: Console, rounds: int, events: int) -> None:
    """Measure the worker end to end and print a table."""
    with filled_kafka(console, events) as servers:
        variants = {
            "pass-through, transactions": _variant("passthrough", servers, events),
            "worker": _variant("worker", servers, events),
            "worker, scraped every second": _variant("measured-worker", servers, events),
        }
        _warm_up(variants)
        title = f"end to end, {events} records, {PARTITIONS} partitions, {rounds} rounds"
        show(console, title, run_rounds(variants, rounds), "target: worker ≤ 2.0×")


def measure_replay(console: Console, rounds: int, events: int) -> None:
    """Measure a replay against the worker on the same records, and print a table."""
    with filled_kafka(console, events) as servers:
        variants = {
            "worker": _variant("worker", servers, events),
            "replay": _variant("replay", servers, events),
            "replay --dry-run": _variant("dry-run", servers, events),
        }
        _warm_up(variants)
        title = f"replay, {events} records, {PARTITIONS} partitions, {rounds} rounds"
        show(console, title, run_rounds(variants, rounds), "target: replay ≤ 1.1×, dry run < 1×")


@contextmanager
def filled_kafka(console: Console, events: int) -> Iterator[str]:
    """Start a broker and fill the raw topic; yields the bootstrap servers."""
    with kafka_with_topics(console) as settings:
        with Publisher(settings.kafka) as publisher:
            for each in islice(Generator(7, invalid_share=0.02, batch_share=0), events):
                publisher.send("track.raw", each.value, each.key)  # now: retention looks at it
        console.print(f"· wrote {events} raw records")
        yield str(settings.kafka["bootstrap.servers"])


def _warm_up(variants: dict[str, Variant]) -> None:
    """Run each variant once: the broker's Java compiles, and the page cache fills."""
    for variant in variants.values():
        variant()


def _variant(name: str, servers: str, events: int) -> Variant:
    numbers = iter(range(1_000_000))

    def run() -> float:
        group = f"bench-{name}-{next(numbers)}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.kafka_variants", name, servers, group, str(events)],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
        return float(json.loads(done.stdout.splitlines()[-1])["cpu_us_per_event"])

    return run
