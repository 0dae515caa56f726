"""`track-pipeline run`: the worker, or several under a supervisor, as a service."""

from __future__ import annotations

import faulthandler
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Final

import click
import structlog

from pipeline import __version__
from pipeline.cli.help import Command
from pipeline.cli.main import Failure, failure_of
from pipeline.cli.options import Parsed, with_settings
from pipeline.decommission import check_leave_on_stop, leave_on_stop, leaving_on_stop
from pipeline.endpoint import endpoint, worker_service
from pipeline.errors import ExitCode, SettingsError
from pipeline.metrics.service import ServiceView
from pipeline.ports import CrashGuard, Span
from pipeline.preflight import checked_topics
from pipeline.settings.model import Settings
from pipeline.settings.names import FLAGS
from pipeline.systemd import notifying_systemd
from pipeline.wiring import (
    make_broker,
    make_processor,
    make_worker,
    require_tracing,
    tracing,
)
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import (
    AggregateStatistics,
    LogMeter,
    SlotMeter,
    configure_logging,
    get_logger,
    is_for_people,
    reporting,
)
from pipeline.worker.processes import (
    SIGNALS,
    InheritedHandles,
    WorkerProcesses,
    follow,
    inherited_handles,
)
from pipeline.worker.restart_policy import RestartDelays
from pipeline.worker.shared_state import (
    LocalCrashGuard,
    SharedCrashGuard,
    SharedMemory,
    SharedWorkerStates,
)
from pipeline.worker.signals import Signals, stop_on_signals
from pipeline.worker.supervisor import Supervisor

_WATCHED_EVERY_S: Final = 5.0
_FIRST_WATCHED_S: Final = 2.0
_UNLIMITED: Final = -1
_STANDARD_ERROR: Final = 2
"""Its number: `sys.stderr` has none when the program is called from Python and its output kept."""
_RECORD: Final = re.compile(r"(?P<topic>[^/]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")


def _record(text: str) -> Span:
    """Parse the coordinates of one raw record."""
    match = _RECORD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not topic/partition/offset, such as track.raw/3/1042")
    offset = int(match["offset"])
    return Span(match["topic"], int(match["partition"]), offset, offset)


@click.command(
    cls=Command,
    groups={
        "Kafka": ("--bootstrap-servers", "--group", "--config"),
        "Topics": (
            "--raw-topic",
            "--enriched-topic",
            "--dead-letter-topic",
            "--identify-topic",
        ),
        "Workers": ("--workers", "--instance-id"),
        "Log": ("--log-format", "--log-level"),
        "Metrics and health": ("--http-port",),
        "Recovery": ("--initial-offset", "--quarantine"),
    },
    examples={
        "One worker": "track-pipeline run --bootstrap-servers localhost:9092",
        "As a service: four processes, settings from a file": (
            "track-pipeline run --config pipeline.toml --workers 4 --instance-id host-1"
        ),
    },
)
@with_settings(*FLAGS, needs_kafka=True)
@click.option(
    "--initial-offset",
    "start_over",
    type=click.Choice(["earliest", "latest"]),
    help="Where to start when the group's committed offsets are gone (use it once, not in a "
    "service definition).",
)
@click.option(
    "--quarantine",
    "quarantined",
    type=Parsed("record", _record),
    metavar="TOPIC/PARTITION/OFFSET",
    multiple=True,
    help="Dead-letter this raw record unread, since it kills the worker. Can be given repeatedly.",
)
def run(settings: Settings, start_over: str | None, quarantined: tuple[Span, ...]) -> None:
    """Read raw track events, and write enriched events and dead letters, exactly once.

    It runs until SIGTERM, SIGINT (Ctrl-C) or SIGHUP, finishes the current transaction and ends
    with exit code 0. A second signal ends it at once; nothing is lost then either.

    On a terminal it tells what it does in sentences; elsewhere it logs JSON. Every setting is an
    option, a key of the --config file or a variable TRACK_…: see `check --show-config`.
    """
    _check(settings, quarantined)
    require_tracing(settings)
    configure_logging(settings.log.format, settings.log.level)
    # A supervisor or systemd ends a stuck worker with SIGABRT.
    faulthandler.enable(_STANDARD_ERROR)
    place = inherited_handles(os.environ)
    with _end_is_reported(settings, place):
        if place is not None:
            _run_one_of_several(settings, start_over, quarantined, place)
        elif settings.workers > 1:
            _supervise(settings)
        else:
            _run_alone(settings, start_over, quarantined)


@contextmanager
def _end_is_reported(settings: Settings, place: InheritedHandles | None) -> Iterator[None]:
    """Log why the program ends, beside the plain sentence, and let a supervisor know."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except Exception as error:
        failure = failure_of(error, click.get_current_context())
        code, cause = failure.exit_code, failure.message
        if not is_for_people(settings.log.format):  # who reads sentences sees the plain one
            log = get_logger("pipeline.worker")
            # The traceback of a bug is shown when it is asked for (--traceback).
            log.error("ended", code=int(code), cause=cause)  # noqa: TRY400
        if place is None:
            raise failure from error
        SharedMemory(place.memory).reason(place.slot).write(cause.encode())
        raise Failure(f"worker {place.slot}: {cause}", _exit_of(code)) from error


def _check(settings: Settings, quarantined: Sequence[Span]) -> None:
    raw = settings.topics.raw
    others = sorted({span.topic for span in quarantined} - {raw})
    if others:
        raise SettingsError(
            [f"--quarantine: {', '.join(others)} is not the raw topic, which is {raw}"]
        )


def _run_alone(settings: Settings, start_over: str | None, quarantined: Sequence[Span]) -> None:
    stop = stop_on_signals(settings.shutdown_grace_s)  # before the endpoint's threads
    interval_s, first_s = _intervals(settings)
    meter = LogMeter(
        interval_s,
        first_s=first_s,
        instance=settings.instance_id,
        stuck_after_s=settings.http.stuck_after_s,
    )

    def view() -> ServiceView:
        snapshot = meter.snapshot()
        return ServiceView(snapshot, [snapshot])

    _log_start(settings, {"settings": settings.to_dict()})
    with _observed(settings, view):
        _work(settings, start_over, stop, lambda: meter, LocalCrashGuard(quarantined))


def _log_start(settings: Settings, about: Mapping[str, object]) -> None:
    log = get_logger("pipeline.worker")
    log.info("starting", version=__version__, contract=settings.contract(), **about)


@contextmanager
def _observed(settings: Settings, view: Callable[[], ServiceView]) -> Iterator[None]:
    """Let Prometheus, Kubernetes and systemd see the workers."""
    service, log = worker_service(settings, view), get_logger("pipeline.worker")

    def listening(address: str) -> None:
        log.info("listening", address=address)

    with endpoint(settings, service.routes(), listening), notifying_systemd(service.state):
        yield


def _run_one_of_several(
    settings: Settings, start_over: str | None, quarantined: Sequence[Span], place: InheritedHandles
) -> None:
    structlog.contextvars.bind_contextvars(worker=place.slot)
    stop = stop_on_signals(settings.shutdown_grace_s)
    follow(place.lifeline, stop)
    memory = SharedMemory(place.memory)
    figures = memory.figures(place.slot)
    own = settings.for_worker(place.slot)
    _log_start(own, {"instance": own.instance_id})
    _work(
        own,
        start_over,
        stop,
        lambda: SlotMeter(
            figures,
            settings.stats_interval_s,
            instance=own.instance_id,
            stuck_after_s=settings.http.stuck_after_s,
        ),
        SharedCrashGuard(memory, place.slot, quarantined),
    )


def _intervals(settings: Settings) -> tuple[float, float]:
    """Time between statistics lines, and until the first one: short where somebody watches."""
    interval_s = settings.stats_interval_s
    if not is_for_people(settings.log.format):
        return interval_s, interval_s
    if "stats_interval_s" not in settings.sources:
        interval_s = min(interval_s, _WATCHED_EVERY_S)
    return interval_s, min(interval_s, _FIRST_WATCHED_S)


def _work(
    settings: Settings,
    start_over: str | None,
    stop: Event,
    make_meter: Callable[[], LogMeter],
    guard: CrashGuard,
) -> None:
    log = get_logger("pipeline.worker")
    processor = make_processor(settings, group=settings.group)
    check_leave_on_stop(settings, log.warning)
    facts = checked_topics(settings, log.warning, stop)
    if stop.is_set():
        leave_on_stop(settings, log)
        log.info("stopped")
        return
    log.info("topics", partitions={name: topic.partitions for name, topic in sorted(facts.items())})
    broker = make_broker(settings, facts, start_over)
    meter = make_meter()
    retention_ms = facts[settings.topics.raw].number("retention.ms", _UNLIMITED)
    meter.started(broker.statistics, stop, retention_ms)
    tune_memory()
    try:
        with (
            leaving_on_stop(settings, log),
            tracing(settings, broker, _report_lost_spans) as traced,
            reporting(meter, broker.monitor, broker.oldest_records),
        ):
            make_worker(settings, traced, processor, meter, guard).run(stop)
    finally:
        meter.statistics(lag=None)
    log.info("stopped")


def _report_lost_spans(spans: int, cause: str) -> None:
    log = get_logger("pipeline.worker")
    log.warning("spans_lost", spans=spans, cause=cause)


def _supervise(settings: Settings) -> None:
    log = get_logger("pipeline.supervisor")
    log.info("starting", version=__version__, workers=settings.workers, settings=settings.to_dict())
    memory = SharedMemory.created(settings.workers)
    figures = [memory.figures(slot) for slot in range(settings.workers)]
    interval_s, first_s = _intervals(settings)
    statistics = AggregateStatistics(
        figures, interval_s, first_s=first_s, stuck_after_s=settings.http.stuck_after_s
    )
    supervisor = Supervisor(
        settings.workers,
        WorkerProcesses(memory.descriptor, Signals(SIGNALS)),
        SharedWorkerStates(memory),
        statistics,
        delays=RestartDelays(give_up=settings.max_resets),
        grace_s=settings.shutdown_grace_s,
    )

    def view() -> ServiceView:
        return ServiceView(statistics.total(), statistics.current(), supervisor.restarts)

    with _observed(settings, view):
        outcome = supervisor.run()
    if outcome.sentence:
        raise Failure(outcome.sentence, _exit_of(outcome.code))
    log.info("stopped")
    if outcome.code:
        raise click.exceptions.Exit(outcome.code)


def _exit_of(number: int) -> ExitCode:
    return next(code for code in ExitCode if code == number)
