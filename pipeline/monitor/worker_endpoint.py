"""Asks a worker's endpoint how it is: `GET /status`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.core.escape import one_line
from pipeline.errors import TransportError
from pipeline.monitor.endpoint_client import FOREIGN, EndpointProblem, read_text
from pipeline.monitor.status import StatusLimits


class ReportedWorker(msgspec.Struct):
    """One worker, as its endpoint describes it."""

    worker: int | None
    """Number of the worker; None when there is only one."""
    instance: str | None
    pid: int | None
    state: str
    reasons: list[str]
    partitions: int
    lag_records: int | None
    lag_seconds: float | None
    last_commit_at: str | None
    committed_records: int


class WorkerReport(msgspec.Struct):
    """What an endpoint reports about the workers of one service."""

    version: str
    contract: str
    started_at: str
    live: bool
    ready: bool
    summary: str
    lag_records: int | None
    lag_seconds: float | None
    workers: list[ReportedWorker]
    breaker: str | None = None

    @property
    def health(self) -> str:
        """The health in a word or two."""
        if not self.live:
            return "not live"
        return "ready" if self.ready else "not ready"

    def is_healthy(self, limits: StatusLimits) -> bool:
        """Whether these workers are what the check needs them to be."""
        return self.live and (self.ready or limits.needs == "live")

    def problems(self, limits: StatusLimits) -> list[str]:
        """Return why a check fails: health, and limits that are exceeded."""
        found = [] if self.is_healthy(limits) else [f"{self.health}: {self.summary}"]
        return found + limits.exceeded_by(self.lag_records, self.lag_seconds)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


_DECODER: Final = msgspec.json.Decoder(WorkerReport)


def ask_worker(url: str) -> WorkerReport:
    """Return what the endpoint at `url` reports. TransportError when no worker answers there."""
    body = read_text(url, "/status")
    if isinstance(body, EndpointProblem):
        raise TransportError(f"{url}: {body.sentence}")
    try:
        return _on_one_line(_DECODER.decode(body))
    except msgspec.MsgspecError as error:
        raise TransportError(f"{url}: {FOREIGN.sentence}") from error


def _on_one_line(report: WorkerReport) -> WorkerReport:
    """Escape what an endpoint says, so that no other program can forge a line."""
    for worker in report.workers:
        worker.reasons = list(map(one_line, worker.reasons))
    report.summary = one_line(report.summary)
    report.breaker = report.breaker and one_line(report.breaker)
    return report
