"""Runs workers: makes them out of the settings, and lets the world see how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Final

import structlog

from pipeline import __version__
from pipeline.compiled.choice import chosen
from pipeline.metrics.service import ServiceView
from pipeline.ports import CrashGuard, Span
from pipeline.preflight import checked_topics
from pipeline.service.decommission import check_leave_on_stop, leave_on_stop, leaving_on_stop
from pipeline.service.endpoint import endpoint, worker_service
from pipeline.service.systemd import notifying_systemd
from pipeline.settings.model import Settings
from pipeline.wiring import formats, make_broker, make_processor, make_worker, tracing
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import (
    AggregateStatistics,
    LogMeter,
    SlotMeter,
    get_logger,
    is_for_people,
    reporting,
)
from pipeline.worker.processes import SIGNALS, InheritedHandles, WorkerProcesses, follow
from pipeline.worker.restart_policy import RestartDelays, SupervisorResult
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


def run_alone(settings: Settings, start_over: str | None, quarantined: Sequence[Span]) -> None:
    """Run one worker in this process until a signal stops it; errors are those of `Worker.run`."""
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
    _warn_of_unused_build()
    with _observed(settings, view):
        _work(settings, start_over, stop, lambda: meter, LocalCrashGuard(quarantined))


def _log_start(settings: Settings, about: Mapping[str, object]) -> None:
    log = get_logger("pipeline.worker")
    log.info("starting", **_program(), contract=settings.contract(), **about)


def _program() -> dict[str, str]:
    return {"version": __version__, "core": chosen().core.value}


def _warn_of_unused_build() -> None:
    """Say that the Python core runs although somebody has compiled one."""
    if chosen().unused:
        get_logger("pipeline.worker").warning("compiled_core_unused", cause=chosen().unused)


@contextmanager
def _observed(settings: Settings, view: Callable[[], ServiceView]) -> Iterator[None]:
    """Let Prometheus, Kubernetes and systemd see the workers."""
    service, log = worker_service(settings, view), get_logger("pipeline.worker")

    def listening(address: str) -> None:
        log.info("listening", address=address)

    with endpoint(settings, service.routes(), listening), notifying_systemd(service.state):
        yield


def run_one_of_several(
    settings: Settings, start_over: str | None, quarantined: Sequence[Span], place: InheritedHandles
) -> None:
    """Run the worker of a slot, which reports to the supervisor that has started this process."""
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
    check_leave_on_stop(settings, log.warning)
    facts = checked_topics(settings, log.warning, stop)
    forms = formats(settings, log.warning, writes=True, stop=stop)
    if stop.is_set():
        leave_on_stop(settings, log)
        log.info("stopped")
        return
    processor = make_processor(settings, group=settings.group, formats=forms)
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


def supervise(settings: Settings) -> SupervisorResult:
    """Run several workers as processes, and return how it ended."""
    log = get_logger("pipeline.supervisor")
    log.info("starting", **_program(), workers=settings.workers, settings=settings.to_dict())
    _warn_of_unused_build()
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
    if not outcome.sentence:
        log.info("stopped")
    return outcome
