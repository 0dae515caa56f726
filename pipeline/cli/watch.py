"""`track-pipeline watch`: metrics of a pipeline from the cluster alone, as a service."""

from __future__ import annotations

import logging
from typing import Final

import click

from pipeline import __version__
from pipeline.cli.help import Command
from pipeline.cli.options import PIPELINE_FLAGS, Number, with_settings
from pipeline.monitor import Watch, collectors_of
from pipeline.service.endpoint import endpoint
from pipeline.service.systemd import notifying_systemd
from pipeline.settings.model import Settings
from pipeline.wiring import WAITS
from pipeline.worker.observe import configure_logging, get_logger
from pipeline.worker.signals import stop_on_signals

_FLAGS: Final = (*PIPELINE_FLAGS, "--http-port", "--log-format", "--log-level")
_ANSWER_S: Final = 5.0
"""Time limit of each question, also of the first one: an unreachable cluster is reported soon."""


@click.command(
    cls=Command,
    groups={
        "Which pipeline": (*PIPELINE_FLAGS, "--config"),
        "How": ("--interval", "--http-port"),
        "Log": ("--log-format", "--log-level"),
    },
    examples={
        "As a service, beside the workers": (
            "track-pipeline watch --config pipeline.toml --http-port 9401"
        ),
        "A line of the log every ten seconds": (
            "track-pipeline watch --bootstrap-servers localhost:9092 --interval 10"
        ),
    },
)
@with_settings(*_FLAGS, needs_kafka=True)
@click.option(
    "--interval",
    "interval_s",
    type=Number(1, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the cluster.",
)
def watch(settings: Settings, *, interval_s: float) -> None:
    """Watch lag, retention, dead letters and replays from the cluster alone, without a group.

    It serves the metrics track_pipeline_watch_… on --http-port, with /livez, /readyz and /status,
    and logs a line at each interval. One such process is enough for a pipeline, and more do no
    harm: it commits and writes nothing.

    It runs until SIGTERM, SIGINT (Ctrl-C) or SIGHUP, and ends with exit code 0. While the cluster
    can't be reached it says so, and goes on.
    """
    configure_logging(settings.log.format, settings.log.level)
    WAITS.setLevel(logging.CRITICAL)  # a look that takes too long fails, and says so itself
    log = get_logger("pipeline.watch")
    stop = stop_on_signals(settings.shutdown_grace_s)
    limit_s = min(settings.startup_timeout_s, _ANSWER_S)
    patient = settings.model_copy(update={"startup_timeout_s": limit_s})
    watching = Watch(collectors_of(patient), stuck_after_s=settings.http.stuck_after_s + interval_s)
    log.info(
        "watching",
        version=__version__,
        group=settings.group,
        topic=settings.topics.raw,
        interval_s=interval_s,
    )

    def listening(address: str) -> None:
        log.info("listening", address=address)

    with endpoint(settings, watching.routes(), listening), notifying_systemd(watching.state):
        watching.run(stop, interval_s)
    log.info("stopped")
