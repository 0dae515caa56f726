"""`make chaos`: try to break the promise, on a Kafka of its own, for as long as one likes."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from tests.system.chaos.cluster import Cluster
from tests.system.chaos.engine import FAULTS, Result, faults_for, run
from tests.system.chaos.report import print_result
from tests.system.chaos.sabotage import SABOTAGES, TELLING
from tests.system.chaos.world import Plan

_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_ALL: Final = "all"
_SABOTAGED_PATIENCE_S: Final = 20.0


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value)
        try:
            return float(text[:-1]) * _UNITS[text[-1:]]
        except (KeyError, ValueError):
            self.fail("a number and s, m or h, such as 90s or 5m", param, ctx)


@click.command()
@click.option(
    "--duration",
    type=_Duration(),
    default="5m",
    show_default=True,
    help="Inject faults for so long; every fault fires once, however short this is.",
)
@click.option("--seed", type=int, help="Repeats the faults of an earlier run.")
@click.option(
    "--nodes",
    type=click.Choice(["1", "3"]),
    default="3",
    show_default=True,
    help="One broker, or three and a controller.",
)
@click.option(
    "--fault",
    "faults",
    type=click.Choice(list(FAULTS)),
    multiple=True,
    help="Only this fault; may be given more than once.",
)
@click.option(
    "--static/--dynamic",
    default=False,
    show_default=True,
    help="Whether the workers have instance ids: some faults need one, some the other.",
)
@click.option("--rate", type=click.IntRange(10), default=1500, show_default=True, help="Events/s.")
@click.option("--partitions", type=click.IntRange(3), default=6, show_default=True)
@click.option(
    "--sabotage",
    type=click.Choice([*SABOTAGES, _ALL]),
    help="A build that is wrong on purpose: the exit code is 0 when it is caught.",
)
def chaos(  # noqa: PLR0917  one for each option
    duration: float,
    seed: int | None,
    nodes: str,
    faults: tuple[str, ...],
    static: bool,  # noqa: FBT001  click gives it by name
    rate: int,
    partitions: int,
    sabotage: str | None,
) -> None:
    """Break the pipeline in every way that is known, and check that no event is lost or doubled.

    Exit code 1 when the promise was not kept, or not put to the test.
    """
    seed = secrets.randbelow(2**32) if seed is None else seed
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(f"seed {seed}")
    plan = Plan(
        seed,
        faults or faults_for(int(nodes), static=static),
        duration,
        rate=rate,
        partitions=partitions,
        static=static,
        is_whole=not faults,
    )
    folder = Path(tempfile.mkdtemp(prefix="track-pipeline-chaos-"))
    tell = _telling(console)
    with Cluster(folder, int(nodes), lambda _: None) as cluster:
        if sabotage is None:
            good = _normal(console, run(cluster, folder / "run", plan, tell))
        else:
            names = list(SABOTAGES) if sabotage == _ALL else [sabotage]
            runs = (run_sabotaged(cluster, folder, name, seed, tell) for name in names)
            good = [_caught(console, result) for result in runs].count(False) == 0
    if good:
        shutil.rmtree(folder)
    else:
        console.print(f"logs, ledger and the brokers' files are kept in {folder}")
        sys.exit(1)


def _telling(console: Console) -> Callable[[str], None]:
    began = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f}[/] {text}")

    return tell


def _normal(console: Console, result: Result) -> bool:
    print_result(console, result)
    console.print("the promise was kept" if result.ok else "FAILED", style="bold")
    return result.ok


def run_sabotaged(
    cluster: Cluster, folder: Path, sabotage: str, seed: int, tell: Callable[[str], None]
) -> Result:
    """A run of one sabotaged build, under the faults that show it."""
    tell(f"sabotage: {sabotage}")
    plan = Plan(seed, TELLING[sabotage], sabotage=sabotage, patience_s=_SABOTAGED_PATIENCE_S)
    return run(cluster, folder / sabotage, plan, tell)


def _caught(console: Console, result: Result) -> bool:
    """Whether a judge saw that the build is wrong."""
    for line in result.wrong()[:3] if result.caught else ():
        console.print(f"  {line}", markup=False)
    verdict = "caught" if result.caught else "NOT CAUGHT"
    console.print(f"{result.plan.sabotage}: {verdict}", style="bold")
    return result.caught


if __name__ == "__main__":
    chaos()
