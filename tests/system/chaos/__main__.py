"""`make chaos`: try to lose or duplicate events, on a Kafka of its own."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from tests.system.chaos.alerts.alert_key import shipped_rules
from tests.system.chaos.alerts.cases import CASES, AlertCase
from tests.system.chaos.alerts.prometheus import PrometheusError
from tests.system.chaos.alerts.report import print_alerts
from tests.system.chaos.alerts.run import AlertRun
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.engine import FAULTS, RunResult, faults_for, run
from tests.system.chaos.report import print_result
from tests.system.chaos.scenario import Scenario
from tests.system.chaos.seeded_bugs import REVEALING_FAULTS, SEEDED_BUGS

_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_ALL: Final = "all"
_SEEDED_BUG_TIMEOUT_S: Final = 20.0


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
    help="How long to inject faults; each is injected once, however short this is.",
)
@click.option("--seed", type=int, help="Repeat the faults of an earlier run.")
@click.option(
    "--nodes",
    type=click.Choice(["1", "3"]),
    default="3",
    show_default=True,
    help="Use one broker, or three and a controller.",
)
@click.option(
    "--fault",
    "faults",
    type=click.Choice(list(FAULTS)),
    multiple=True,
    help="Inject only this fault; may be given more than once.",
)
@click.option(
    "--static/--dynamic",
    default=False,
    show_default=True,
    help="Give the workers instance ids or not; some faults need one, some the other.",
)
@click.option(
    "--rate", type=click.IntRange(10), default=1500, show_default=True, help="Events per second."
)
@click.option("--partitions", type=click.IntRange(3), default=6, show_default=True)
@click.option(
    "--output-format",
    type=click.Choice(["json", "avro"]),
    default="json",
    show_default=True,
    help="Form of the outputs; Avro as single objects, without a registry.",
)
@click.option(
    "--seeded-bug",
    type=click.Choice([*SEEDED_BUGS, _ALL]),
    help="Run workers with a bug that is built in on purpose; exit code 0 if it is detected.",
)
@click.option(
    "--alerts",
    "only_alerts",
    is_flag=True,
    help="Instead: cause each alert of deploy/prometheus/rules.yml, which takes ten minutes.",
)
@click.option(
    "--case",
    "cases",
    type=click.Choice([case.label for case in CASES]),
    multiple=True,
    help="Of --alerts, only the fault with this name; may be given more than once.",
)
def chaos(  # noqa: PLR0917  one for each option
    duration: float,
    seed: int | None,
    nodes: str,
    faults: tuple[str, ...],
    static: bool,  # noqa: FBT001  click gives it by name
    rate: int,
    partitions: int,
    output_format: str,
    seeded_bug: str | None,
    only_alerts: bool,  # noqa: FBT001  as above
    cases: tuple[str, ...],
) -> None:
    """Inject faults into the pipeline, and check that no event is lost or duplicated.

    Exit code 1 when one is, when anything else is wrong, or when not everything was put to the
    test.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if only_alerts or cases:
        _cause_alerts(console, [case for case in CASES if not cases or case.label in cases])
        return
    seed = secrets.randbelow(2**32) if seed is None else seed
    console.print(f"seed {seed}")
    scenario = Scenario(
        seed,
        faults or faults_for(int(nodes), static=static),
        duration,
        rate=rate,
        partitions=partitions,
        static=static,
        needs_full_coverage=not faults,
        settings={"TRACK_OUTPUT__FORMAT": output_format},
    )
    folder = _new_folder()
    log = _log_to(console)
    with Cluster(folder, int(nodes), lambda _: None) as cluster:
        if seeded_bug is None:
            result = run(cluster, folder / "run", scenario, log)
            print_result(console, result)
            ok = result.ok
        else:
            names = list(SEEDED_BUGS) if seeded_bug == _ALL else [seeded_bug]
            runs = (run_seeded_bug(cluster, folder, name, seed, log) for name in names)
            ok = [_print_detected(console, result) for result in runs].count(False) == 0
    _end(console, folder, ok=ok)


def _cause_alerts(console: Console, cases: Sequence[AlertCase]) -> None:
    """Run these cases, and print what the alerts did; exit code 1 unless each did as it must."""
    folder = _new_folder()
    with Cluster(folder, 1, lambda _: None) as cluster:
        try:
            run = AlertRun(cluster, folder / "alerts", shipped_rules(), _log_to(console))
            result = run.run(cases)
        except (PrometheusError, TimeoutError) as error:
            raise click.ClickException(f"{error}; logs are kept in {folder}") from error
    print_alerts(console, result)
    _end(console, folder, ok=not result.problems())


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="track-pipeline-chaos-"))


def _end(console: Console, folder: Path, *, ok: bool) -> None:
    """Remove the files of a run that passed; exit with 1 after one that did not."""
    if ok:
        shutil.rmtree(folder)
    else:
        console.print(f"logs, ledger and the brokers' files are kept in {folder}")
        sys.exit(1)


def _log_to(console: Console) -> Callable[[str], None]:
    began = time.monotonic()

    def log(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f}[/] {text}")

    return log


def run_seeded_bug(
    cluster: Cluster, folder: Path, seeded_bug: str, seed: int, log: Callable[[str], None]
) -> RunResult:
    """Run workers with a seeded bug under the faults that reveal it."""
    log(f"seeded bug: {seeded_bug}")
    scenario = Scenario(
        seed, REVEALING_FAULTS[seeded_bug], seeded_bug=seeded_bug, timeout_s=_SEEDED_BUG_TIMEOUT_S
    )
    return run(cluster, folder / seeded_bug, scenario, log)


def _print_detected(console: Console, result: RunResult) -> bool:
    """Print whether the bug was detected, and how; return the same."""
    for line in result.failures()[:3] if result.detected else ():
        console.print(f"  {line}", markup=False)
    outcome = "detected" if result.detected else "NOT DETECTED"
    console.print(f"{result.scenario.seeded_bug}: {outcome}", style="bold")
    return result.detected


if __name__ == "__main__":
    chaos()
