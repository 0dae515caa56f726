"""`make bench`: the core and end to end; `ARGS=` names one part, such as `core`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import click

from tests.bench.avro import measure_avro
from tests.bench.core import measure_core
from tests.bench.dead_letters import measure_dead_letters
from tests.bench.growth import measure_growth
from tests.bench.kafka import measure_kafka, measure_replay
from tests.bench.latency import measure_latency
from tests.bench.loop_parts import measure_loop
from tests.bench.results import Report
from tests.bench.soak import soak
from tests.bench.tools import measure_tools

_EVENTS: Final = 200_000
_GROWTH_EVENTS: Final = 5_000_000
_PARTS: Final = (
    "all",
    "core",
    "kafka",
    "latency",
    "loop",
    "growth",
    "tools",
    "replay",
    "dead-letters",
    "avro",
    "soak",
)
_LONG: Final = ("growth", "soak")


@click.command()
@click.argument("part", type=click.Choice(_PARTS), default="all")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--events",
    type=click.IntRange(1_000),
    help=f"Raw records or dead letters on Kafka, {_EVENTS:,} by default; `core` takes a tenth of "
    f"it. For `growth` the longest topic, {_GROWTH_EVENTS:,} by default.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=20.0,
    show_default=True,
    help="Duration of each run of `latency`.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout of this project: `tools` runs its commands in turn with these.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@click.option("--minutes", type=float, default=20.0, show_default=True, help="Duration of `soak`.")
@click.option(
    "--rate", type=int, default=1500, show_default=True, help="Records per second of `soak`."
)
def bench(  # noqa: PLR0917  one for each option
    part: str,
    rounds: int,
    events: int | None,
    seconds: float,
    against: Path | None,
    as_json: bool,  # noqa: FBT001  a flag
    minutes: float,
    rate: int,
) -> None:
    """Measure CPU time per event (all threads of a process) as medians of interleaved rounds.

    `all` is every part but `growth` and `soak`, which take long.
    """
    report = Report(as_json=as_json)
    usual = events or _EVENTS
    measurements: dict[str, Callable[[], None]] = {
        "core": partial(measure_core, report, rounds, usual // 10),
        "kafka": partial(measure_kafka, report, rounds, usual),
        "latency": partial(measure_latency, report, rounds, seconds),
        "loop": partial(measure_loop, report, rounds, usual),
        "tools": partial(measure_tools, report, rounds, usual, against),
        "replay": partial(measure_replay, report, rounds, usual),
        "dead-letters": partial(measure_dead_letters, report, rounds, usual),
        "avro": partial(measure_avro, report, rounds, usual),
        "growth": partial(measure_growth, report, rounds, events or _GROWTH_EVENTS),
        "soak": partial(soak, report, minutes, rate),
    }
    for name, measure in measurements.items():
        if part == name or (part == "all" and name not in _LONG):
            measure()
    report.finish()


if __name__ == "__main__":
    bench()
