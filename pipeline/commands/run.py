"""`track-pipeline run`: the worker, as a service."""

from __future__ import annotations

import click
import structlog

from pipeline import __version__
from pipeline.commands.options import with_settings
from pipeline.edges.crash_guard import LoneGuard
from pipeline.edges.observe import LogMeter, configure_logging
from pipeline.edges.signals import stop_on_signals
from pipeline.settings import Settings
from pipeline.settings_names import FLAGS
from pipeline.wiring import (
    checked_topics,
    make_broker,
    make_processor,
    make_worker,
    tune_garbage_collector,
)


@click.command()
@with_settings(*FLAGS, needs_kafka=True)
@click.option(
    "--initial-offset",
    "start_over",
    type=click.Choice(["earliest", "latest"]),
    help="Where to start although the group's offsets are gone; give it once, not in a unit file.",
)
def run(settings: Settings, start_over: str | None) -> None:
    """Read raw track events, write enriched events and dead letters, exactly once.

    Runs until SIGTERM or SIGINT: the transaction at hand is finished, then it exits 0. A second
    signal exits at once; nothing is lost then either.
    """
    configure_logging(settings.log.format, settings.log.level)
    stop = stop_on_signals(settings.shutdown_grace_s)
    log = structlog.stdlib.get_logger("pipeline.worker")
    processor = make_processor(settings, group=settings.group)
    log.info(
        "starting", version=__version__, contract=processor.contract, settings=settings.shown()
    )
    facts = checked_topics(settings, log.warning, stop)
    if stop.is_set():
        log.info("stopped")
        return
    log.info("topics", partitions={name: topic.partitions for name, topic in sorted(facts.items())})
    broker = make_broker(settings, facts, start_over)
    meter = LogMeter(settings.stats_interval_s)
    tune_garbage_collector()
    try:
        make_worker(settings, broker, processor, meter, LoneGuard()).run(stop)
    finally:
        meter.statistics(lag=None)
    log.info("stopped")
