"""`make bench`: the core and end to end; `ARGS=` names one part, such as `core`."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from tests.bench.core import measure_core
from tests.bench.dead_letters import measure_dead_letters
from tests.bench.kafka import measure_kafka, measure_replay
from tests.bench.soak import soak
from tests.bench.workers import measure_workers


@click.command()
@click.argument(
    "part",
    type=click.Choice(["all", "core", "kafka", "replay", "workers", "dead-letters", "soak"]),
    default="all",
)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option(
    "--events",
    type=click.IntRange(10_000),
    default=200_000,
    show_default=True,
    help="Raw records or dead letters on Kafka; `core` takes a tenth of it.",
)
@click.option("--minutes", type=float, default=20.0, show_default=True, help="Duration of `soak`.")
@click.option(
    "--rate", type=int, default=1500, show_default=True, help="Records per second of `soak`."
)
def bench(part: str, rounds: int, events: int, minutes: float, rate: int) -> None:
    """Measure CPU time per event (all threads of a process) as medians of interleaved rounds."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if part in {"all", "core"}:
        measure_core(console, rounds, events // 10)
    if part in {"all", "kafka"}:
        measure_kafka(console, rounds, events)
    if part in {"all", "replay"}:
        measure_replay(console, rounds, events)
    if part == "workers":
        measure_workers(console, rounds, events)
    if part in {"all", "dead-letters"}:
        measure_dead_letters(console, rounds, events)
    if part == "soak":
        soak(console, minutes, rate)


bench()
