"""What `run` exposes about its workers: metrics, health and status, in one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.exposition import Exposed, Exposition
from pipeline.metrics.health import Health, health_of_all, worker_health
from pipeline.metrics.samples import Counts, Histogram
from pipeline.metrics.server import JSON, Response, Routes, metrics_route, text
from pipeline.metrics.snapshot import WorkerCondition, WorkerSnapshot

_STATES_OF_BREAKER = "breaker_open"
_OUTCOMES = (
    Metric.EVENTS_ENRICHED,
    Metric.EVENTS_DEAD_LETTERED,
    Metric.EVENTS_DROPPED,
    Metric.EVENTS_FORWARDED,
)


class Build(NamedTuple):
    """What is running."""

    version: str
    contract: str
    python: str
    librdkafka: str
    core: str
    """`python` or `compiled`."""


class ServiceView(NamedTuple):
    """What the workers have reported, at one moment."""

    total: WorkerSnapshot
    """Sums over all workers since the start, including those that have exited."""
    workers: Sequence[WorkerSnapshot | None]
    """Each worker; None for one that does not run."""
    restarts: int = 0


class ServiceState(NamedTuple):
    """What a service manager is told."""

    live: bool
    summary: str
    """One sentence, shown by `systemctl status`."""


class Service:
    """Answers the requests of Prometheus, Kubernetes and people. Any thread may ask."""

    def __init__(
        self,
        build: Build,
        view: Callable[[], ServiceView],
        stuck_after_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._build = build
        self._view = view
        self._stuck_after_s = stuck_after_s
        self._clock = clock
        self._started_at = wall_clock()

    def routes(self) -> Routes:
        """Return the paths that are served."""
        return {
            "/metrics": metrics_route(Exposition(self.exposed)),
            "/livez": lambda _accept: self._answer(lambda health: health.live),
            "/readyz": lambda _accept: self._answer(lambda health: health.ready),
            "/status": lambda _accept: Response(
                HTTPStatus.OK, JSON, msgspec.json.encode(self.status()) + b"\n"
            ),
        }

    def state(self) -> ServiceState:
        """Return what a service manager is told."""
        status = self.status()
        return ServiceState(status["live"], status["summary"])

    def _answer(self, is_good: Callable[[Health], bool]) -> Response:
        health = self._health(self._view())
        if is_good(health):
            return text(HTTPStatus.OK, "ok")
        return text(HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(health.reasons))

    def _each(self, view: ServiceView) -> list[Health | None]:
        now = self._clock()
        return [
            worker_health(each.condition, now, self._stuck_after_s) if each else None
            for each in view.workers
        ]

    def _health(self, view: ServiceView) -> Health:
        return health_of_all(self._each(view))

    def exposed(self) -> Exposed:
        """Return the values of all metrics."""
        view = self._view()
        counts = Counts(view.total.samples())
        self._put_gauges(counts, view)
        histograms: dict[Metric, Histogram] = {
            Metric[name]: each for name, each in view.total.histograms.items()
        }
        return Exposed(counts.samples(), histograms)

    def _put_gauges(self, counts: Counts, view: ServiceView) -> None:
        put, each = counts.put, self._each(view)
        health = health_of_all(each)
        total = view.total
        done = sum(
            value for metric in _OUTCOMES for value in total.samples().get(metric, {}).values()
        )
        put(Metric.CONSERVATION, total.value(Metric.EVENTS_CONSUMED) - done)
        put(Metric.LIVE, float(health.live))
        put(Metric.READY, float(health.ready))
        for code in {one.code if one else "starting" for one in each if not (one and one.ready)}:
            put(Metric.NOT_READY, 1, code)
        running = [worker for worker in view.workers if worker]
        put(Metric.WORKERS, len(view.workers), "configured")
        put(Metric.WORKERS, len(running), "running")
        put(Metric.WORKER_RESTARTS, view.restarts)
        put(Metric.START_TIME, self._started_at)
        put(Metric.BUILD, 1, *self._build)
        conditions = [worker.condition for worker in running]
        put(
            Metric.BREAKER_OPEN,
            float(any(one.state == _STATES_OF_BREAKER for one in conditions)),
        )
        put(Metric.PARTITIONS_ASSIGNED, sum(one.partitions for one in conditions))
        committed = [one.committed_at for one in conditions if one.committed_at]
        if committed:
            put(Metric.LAST_COMMIT, max(committed))
        for one in conditions:
            _put_lag(counts, one)

    def status(self) -> dict[str, Any]:
        """Return the status as JSON values: what runs, whether it is well, and why not."""
        view = self._view()
        each = self._each(view)
        health = health_of_all(each)
        workers = [
            _worker_status(number if len(each) > 1 else None, snapshot, one)
            for number, (snapshot, one) in enumerate(zip(view.workers, each, strict=True))
        ]
        lags = [one["lag_records"] for one in workers]
        ages = [one["lag_seconds"] for one in workers if one["lag_seconds"] is not None]
        breaker = [
            one.condition.cause
            for one in view.workers
            if one and one.condition.state == _STATES_OF_BREAKER
        ]
        return {
            "version": self._build.version,
            "core": self._build.core,
            "contract": self._build.contract,
            "started_at": _time(self._started_at),
            "live": health.live,
            "ready": health.ready,
            "summary": _summary(health, lags, ages),
            "lag_records": None if None in lags else sum(lags),
            "lag_seconds": max(ages, default=None),
            "workers": workers,
            "breaker": breaker[0] if breaker else None,
        }


def _put_lag(counts: Counts, one: WorkerCondition) -> None:
    if one.lag is None:
        return  # what is not known is absent, not stale
    for number, behind in one.lag.by_partition.items():
        counts.put(Metric.LAG_RECORDS, behind.offsets, str(number))
    for number, age in one.ages.items():
        counts.put(Metric.LAG_SECONDS, age, str(number))
        if age and one.retention_s is not None:
            left = max(0.0, one.retention_s - age)
            counts.put(Metric.RETENTION_SECONDS, left, str(number))


def _worker_status(
    number: int | None, snapshot: WorkerSnapshot | None, health: Health | None
) -> dict[str, Any]:
    if snapshot is None or health is None:
        return {
            "worker": number,
            "instance": None,
            "pid": None,
            "state": "starting",
            "reasons": ["it is starting"],
            "partitions": 0,
            "lag_records": None,
            "lag_seconds": None,
            "last_commit_at": None,
            "committed_records": 0,
        }
    condition = snapshot.condition
    lag = condition.lag
    return {
        "worker": number,
        "instance": condition.instance,
        "pid": condition.pid,
        "state": health.code,
        "reasons": list(health.reasons),
        "partitions": condition.partitions,
        "lag_records": lag.offsets if lag else None,
        "lag_seconds": round(max(condition.ages.values(), default=0.0), 1) if lag else None,
        "last_commit_at": _time(condition.committed_at) if condition.committed_at else None,
        "committed_records": int(snapshot.value(Metric.RECORDS_CONSUMED)),
    }


def _summary(health: Health, lags: Sequence[int | None], ages: Sequence[float]) -> str:
    if not health.ready:
        return "; ".join(health.reasons)
    known = [lag for lag in lags if lag is not None]
    if len(known) < len(lags):
        return "ready; the lag is not known"
    if not sum(known):
        return "ready; nothing is waiting"
    oldest = max(ages, default=0.0)
    return f"ready; {sum(known):,} records behind, the oldest waits for {oldest:.1f} s"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
