"""`make capacity`: how much a load needs, and how late events are when it is not enough.

The first table is arithmetic from `figures.py`; the second one comes from the simulation in
`fluid.py`. Nothing is measured: both are the same on every machine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.figures import BUSY, FIGURES, PARTITIONS_PER_WORKER, REPLICAS
from tests.bench.fluid import DAY_S, STEP_S, Fixed, Group, Keda, Load, Outcome, Scaler, simulate

WIDTH = 100
_RATES = (10_000, 100_000, 1_000_000)
CHART_LAG = 20_000
"""Lag for which the Helm chart's ScaledObject asks for one more worker."""
_PATIENT_S = 30
"""The same as seconds of one worker's work, in the row of a patient KEDA."""


@click.command()
@click.option("--rate", type=click.IntRange(1), help="Events per second at the daily peak.")
@click.option("--partitions", type=click.IntRange(1), help="Of the raw topic.")
@click.option("--cpu-us", type=click.FloatRange(1), default=FIGURES.cpu_us, show_default=True)
@click.option("--peak", type=click.FloatRange(1, 2), default=1.6, show_default=True,
              help="Daily peak over the daily average.")  # fmt: skip
@click.option("--burst", type=click.FloatRange(1), default=2.0, show_default=True,
              help="Factor of a burst of 15 minutes at the peak.")  # fmt: skip
@click.option("--outage-h", type=click.FloatRange(0, 12), default=2.0, show_default=True,
              help="Hours without workers, from six in the morning on.")  # fmt: skip
@click.option("--hottest", type=click.FloatRange(1, 2), default=1.5, show_default=True,
              help="Events of the fullest partition over the mean.")  # fmt: skip
@click.option("--rebalance-s", type=click.FloatRange(0, 30), default=5.0, show_default=True,
              help="Pause of all workers when their number changes.")  # fmt: skip
@click.option("--start-s", type=click.FloatRange(0), default=60.0, show_default=True,
              help="From the decision for one more worker until it reads.")  # fmt: skip
def capacity(  # noqa: PLR0917  flags
    rate: int | None,
    partitions: int | None,
    cpu_us: float,
    peak: float,
    burst: float,
    outage_h: float,
    hottest: float,
    rebalance_s: float,
    start_s: float,
) -> None:
    """Print what loads need, and how late events are over two days with too few workers."""
    figures = FIGURES._replace(cpu_us=cpu_us)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    rates = _RATES if rate is None else (rate,)
    console.print(sizes(rates, figures.per_worker, peak))
    simulated = 100_000 if rate is None else rate
    group = Group(
        partitions or partitions_for(simulated, figures.per_worker),
        figures.per_worker,
        hottest,
        rebalance_s,
        start_s,
    )
    load = Load(simulated / peak, peak, burst, outage_s=outage_h * 3600)
    console.print(outcomes(load, group))


def workers_for(rate: float, per_worker: float) -> int:
    """Workers that are not too busy at this rate; two, so that one can be away."""
    return max(2, math.ceil(rate / per_worker / BUSY))


def partitions_for(rate: float, per_worker: float) -> int:
    """Partitions that leave room for more workers."""
    return PARTITIONS_PER_WORKER * workers_for(rate, per_worker)


def sizes(rates: Iterable[int], per_worker: float, peak: float) -> Table:
    """Make the table of what loads need, one column per rate."""
    rates = list(rates)
    raw = FIGURES.raw_bytes * FIGURES.raw_packed / 1e6
    out = FIGURES.output_bytes * FIGURES.output_packed / 1e6
    a_day = DAY_S / peak / 1e6 * REPLICAS
    rows: dict[str, Callable[[int], float]] = {
        "processors that the work takes": lambda rate: rate / per_worker,
        f"workers, {BUSY:.0%} busy": lambda rate: workers_for(rate, per_worker),
        f"partitions, {PARTITIONS_PER_WORKER} per worker": lambda rate: partitions_for(
            rate, per_worker
        ),
        "memory of all workers, at most, GB": lambda rate: (
            workers_for(rate, per_worker) * FIGURES.memory_mb / 1000
        ),
        "events/s in a mean partition": lambda rate: rate / partitions_for(rate, per_worker),
        "workers read, MB/s": lambda rate: rate * raw,
        "workers write, MB/s": lambda rate: rate * out,
        "brokers receive, MB/s": lambda rate: rate * (raw + out) * REPLICAS,
        "brokers send, MB/s": lambda rate: rate * (raw + out) * REPLICAS,
        "raw topic on disk, TB per day": lambda rate: rate * raw * a_day,
        "output topics on disk, TB per day": lambda rate: rate * out * a_day,
    }
    table = Table("events/s at the daily peak", title="What a load needs", box=box.SIMPLE_HEAD)
    for rate in rates:
        table.add_column(f"{rate:,}", justify="right")
    for name, value in rows.items():
        table.add_row(name, *(_number(value(rate)) for rate in rates))
    return table


def outcomes(load: Load, group: Group) -> Table:
    """Make the table of what happens under each way of scaling, one row each."""
    peak = load.average * load.peak
    enough, most = workers_for(peak, group.per_worker), group.partitions
    patient = _PATIENT_S * group.per_worker
    scalers: dict[str, Scaler] = {
        "just enough for the peak": Fixed(max(1, math.ceil(peak / group.per_worker))),
        f"{BUSY:.0%} busy at the peak": Fixed(min(enough, most)),
        "one per partition": Fixed(most),
        "KEDA from 1 on, lag 20,000": Keda(1, most, CHART_LAG),
        f"KEDA from {enough} on, lag 20,000": Keda(min(enough, most), most, CHART_LAG),
        f"KEDA from {enough} on, lag {_number(patient)}": Keda(min(enough, most), most, patient),
    }
    title = (
        f"Two days: {peak:,.0f} events/s at noon, a burst of {load.burst:g} times that, "
        f"{load.outage_s / 3600:g} h without workers; {most} partitions"
    )
    table = Table("workers", title=title, box=box.SIMPLE_HEAD)
    for name in (
        "how many",
        "worker hours\na day",
        "rebal-\nances",
        "oldest event\nin the burst, ≤",
        "outage caught\nup after, ≤",
    ):
        table.add_column(name, justify="right")
    for name, scaler in scalers.items():
        table.add_row(name, *_cells(simulate(load, group, scaler)))
    return table


def _cells(outcome: Outcome) -> list[str]:
    least, most = outcome.least_workers, outcome.most_workers
    late = outcome.caught_up_s
    return [
        str(least) if least == most else f"{least}–{most}",
        f"{outcome.worker_hours:,.0f}",
        str(outcome.rebalances),
        _duration(outcome.oldest_s),
        "never" if late is None else _duration(late),
    ]


def _number(value: float) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 1 else 2
    return f"{value:,.{digits}f}"


def _duration(seconds: float) -> str:
    if seconds <= STEP_S:
        return f"{STEP_S:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    capacity()
