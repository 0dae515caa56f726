"""`track-pipeline status`: how a pipeline is, from the cluster alone or from its workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click
from click.core import ParameterSource

from pipeline.cli.endpoint_option import url_option
from pipeline.cli.help import Command
from pipeline.cli.main import Failure
from pipeline.cli.options import PIPELINE_FLAGS, Number, require_kafka, with_settings
from pipeline.cli.output import is_terminal, print_json, print_notice
from pipeline.cli.status_view import print_partitions, print_reports, print_status
from pipeline.errors import ExitCode, TransportError
from pipeline.monitor import ClusterMonitor, StatusLimits, WorkerReport, ask_worker
from pipeline.settings.model import Settings
from pipeline.wiring import admin


@click.command(
    cls=Command,
    groups={
        "Which pipeline": (*PIPELINE_FLAGS, "--config"),
        "Instead of the cluster": ("--url",),
        "As a check": ("--require", "--fail-above-lag", "--fail-above-seconds"),
        "Output": ("--json",),
    },
    examples={
        "Is anything late?": "track-pipeline status --bootstrap-servers localhost:9092",
        "As a check: fail when a record waits for more than five minutes": (
            "track-pipeline status --config pipeline.toml --fail-above-seconds 300"
        ),
        "What do the workers themselves say?": (
            "track-pipeline status --url http://w-0:9400 --url http://w-1:9400"
        ),
    },
)
@with_settings(*PIPELINE_FLAGS)
@url_option("Ask the endpoint of a worker instead of the cluster; may be repeated.")
@click.option(
    "--require",
    "needs",
    type=click.Choice(["ready", "live"]),
    default="ready",
    show_default=True,
    help="With --url: what each worker has to be; one that waits for its brokers is live.",
)
@click.option(
    "--fail-above-lag",
    type=click.IntRange(0),
    metavar="RECORDS",
    help="Exit code 1 when more records than this wait.",
)
@click.option(
    "--fail-above-seconds",
    type=Number(0),
    metavar="SECONDS",
    help="Exit code 1 when a record has been waiting for longer.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def status(  # noqa: PLR0913  one for each option
    settings: Settings,
    *,
    urls: tuple[str, ...],
    needs: Literal["ready", "live"],
    fail_above_lag: int | None,
    fail_above_seconds: float | None,
    as_json: bool,
) -> None:
    """Show members, lag, contract, circuit breaker and open transactions of a pipeline.

    Everything is read from the cluster, without joining the group, so it works while no worker
    runs. The lag in seconds is the age of the oldest record that is not committed; transaction
    markers and aborted records do not count. "deleted in" is the time until retention may delete
    that record.

    Exit code 0, or 1 when a limit is exceeded, or a worker that was asked by --url is not ready
    (with --require live: is stuck); 5 when Kafka or a worker can't be reached.
    """
    source = click.get_current_context().get_parameter_source("needs")
    if source is ParameterSource.COMMANDLINE and not urls:
        raise click.UsageError("--require needs --url: only a worker's endpoint knows its health")
    limits = StatusLimits(fail_above_lag, fail_above_seconds, needs)
    if urls:
        _ask_workers(urls, limits, as_json=as_json)
        return
    require_kafka(settings)
    admin(settings).wait_until_reachable()
    with ClusterMonitor(settings) as monitor:
        found = monitor.look()
    if as_json:
        print_json(found.to_dict())
    elif is_terminal():
        print_status(found)
    else:
        print_partitions(found)
        for sentence in found.notices:
            print_notice(sentence)
    _require(limits.exceeded(found))


def _ask_workers(urls: Sequence[str], limits: StatusLimits, *, as_json: bool) -> None:
    """Ask each, and fail for the first one that can't be reached after all were asked."""
    unreachable: list[TransportError] = []
    reports: dict[str, WorkerReport] = {}
    for url in urls:
        try:
            reports[url] = ask_worker(url)
        except TransportError as error:
            unreachable.append(error)
    if as_json:
        for url, report in reports.items():
            print_json({"url": url, **report.to_dict()})
    elif reports:
        print_reports(reports, limits)
    if unreachable:
        raise TransportError("\n".join(map(str, unreachable)))
    _require(
        [f"{url}: {each}" for url, report in reports.items() for each in report.problems(limits)]
    )


def _require(problems: Sequence[str]) -> None:
    if problems:
        raise Failure("\n".join(problems), ExitCode.DIFFERENCE)
