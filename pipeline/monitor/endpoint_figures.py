"""What `top` shows of one worker's endpoint, or of several together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Samples, combined
from pipeline.monitor.endpoint_client import (
    EndpointAnswer,
    EndpointPoll,
    EndpointProblem,
    EndpointReading,
)
from pipeline.monitor.endpoint_rates import CounterRates

PHASES: Final = ("wait", "read", "process", "send", "commit")
"""Phases of the loop in their order."""
_RATES: Final = {
    "records": Metric.RECORDS_CONSUMED,
    "events": Metric.EVENTS_CONSUMED,
    "enriched": Metric.EVENTS_ENRICHED,
    "dead_lettered": Metric.EVENTS_DEAD_LETTERED,
    "dropped": Metric.EVENTS_DROPPED,
    "forwarded": Metric.EVENTS_FORWARDED,
}


@dataclass(frozen=True)
class WorkerFigures:
    """Figures of one endpoint, or sums over several."""

    values: Samples
    """Counters since the start, and gauges."""
    rates: Samples | None
    """Increase of each counter per second; None while it is not known."""
    lag_seconds: float | None
    """Age of the oldest record that is not committed; None when it is not known."""

    def rate(self, metric: Metric, *labels: str) -> float | None:
        """Increase per second, over all labels unless some are given."""
        return None if self.rates is None else _sum(self.rates, metric, *labels)

    def value(self, metric: Metric, *labels: str) -> int | None:
        """Whole number, over all labels unless some are given; None when it is absent."""
        return round(_sum(self.values, metric, *labels)) if self.values.get(metric) else None

    def reasons(self) -> list[tuple[str, float | None, int]]:
        """Dead letters by reason: rate, and number since the start; the highest rate first."""
        rows = [
            (reason, self.rate(Metric.EVENTS_DEAD_LETTERED, reason), round(total))
            for (reason,), total in self.values.get(Metric.EVENTS_DEAD_LETTERED, {}).items()
            if total
        ]
        return sorted(rows, key=lambda row: (-(row[1] or 0.0), -row[2], row[0]))

    def phases(self) -> dict[str, float]:
        """Share of the loops' time by phase; empty while it is not known."""
        spent = {phase: self.rate(Metric.PHASE_SECONDS, phase) or 0.0 for phase in PHASES}
        total = sum(spent.values())
        return {phase: seconds / total for phase, seconds in spent.items()} if total else {}

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "per_second": {name: self.rate(metric) for name, metric in _RATES.items()},
            "dead_letters": {
                reason: {"per_second": rate, "total": total}
                for reason, rate, total in self.reasons()
            },
            "phases": self.phases(),
            "lag_records": self.value(Metric.LAG_RECORDS),
            "lag_seconds": self.lag_seconds,
            "partitions": self.value(Metric.PARTITIONS_ASSIGNED),
            "workers": {
                state: self.value(Metric.WORKERS, state) for state in ("running", "configured")
            },
            "restarts": self.value(Metric.WORKER_RESTARTS),
            "transactions_per_second": {
                result: self.rate(Metric.TRANSACTIONS, result)
                for result in ("committed", "aborted")
            },
            "resets": self.value(Metric.RESETS),
            "conservation_difference": self.value(Metric.CONSERVATION),
        }


def _sum(values: Samples, metric: Metric, *labels: str) -> float:
    series = values.get(metric, {})
    return series.get(labels, 0.0) if labels else sum(series.values())


def figures_together(parts: Sequence[WorkerFigures]) -> WorkerFigures:
    """Sums over several endpoints; the lag in seconds is that of the one that is latest."""
    rates = [part.rates for part in parts if part.rates is not None]
    lags = [part.lag_seconds for part in parts if part.lag_seconds is not None]
    return WorkerFigures(
        combined(part.values for part in parts),
        combined(rates) if rates else None,
        max(lags, default=None),
    )


@dataclass(frozen=True)
class EndpointFigures:
    """One endpoint: its figures, or why there are none."""

    url: str
    figures: WorkerFigures | None
    health: str
    """`ready`, the reason codes why it is not, `stuck`, or `unreachable`."""
    sentences: tuple[str, ...]
    """What is wrong, in words."""

    def to_dict(self) -> dict[str, Any]:
        """The endpoint as JSON values."""
        figures = self.figures.to_dict() if self.figures else {}
        about = {"url": self.url, "health": self.health, "reasons": list(self.sentences)}
        return about | figures


@dataclass(frozen=True)
class EndpointsPicture:
    """All endpoints at one moment."""

    endpoints: Sequence[EndpointFigures]
    total: WorkerFigures | None
    """Sums over those that answer; None when none does."""

    @property
    def unreachable(self) -> int:
        """Number of endpoints that could not be read."""
        return sum(each.figures is None for each in self.endpoints)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "total": self.total.to_dict() if self.total else None,
            "endpoints": [each.to_dict() for each in self.endpoints],
        }


@dataclass
class EndpointMonitor:
    """Reads endpoints again and again; one that can't be read is shown as such, and tried again."""

    poll: EndpointPoll
    _rates: dict[str, CounterRates] = field(default_factory=dict)

    def look(self) -> EndpointsPicture:
        """Read all endpoints once."""
        endpoints = [self._figures(url, answer) for url, answer in self.poll.read().items()]
        parts = [each.figures for each in endpoints if each.figures]
        return EndpointsPicture(endpoints, figures_together(parts) if parts else None)

    def _figures(self, url: str, answer: EndpointAnswer) -> EndpointFigures:
        rates = self._rates.setdefault(url, CounterRates())
        if isinstance(answer, EndpointProblem):
            rates.interrupt()
            return EndpointFigures(url, None, "unreachable", (answer.sentence,))
        rates.add(answer)
        ages = answer.samples.get(Metric.LAG_SECONDS, {}).values()
        figures = WorkerFigures(answer.samples, rates.per_second(), max(ages, default=None))
        return EndpointFigures(url, figures, _health(answer), _sentences(answer))


def _health(reading: EndpointReading) -> str:
    if reading.samples.get(Metric.READY, {}).get(()) == 1:
        return "ready"
    reasons = reading.samples.get(Metric.NOT_READY, {})
    return ", ".join(sorted(code for (code,), value in reasons.items() if value)) or "not ready"


def _sentences(reading: EndpointReading) -> tuple[str, ...]:
    """What is wrong, out of the status document, which another program may have written."""
    if reading.status.get("ready") is True:
        return ()
    workers = reading.status.get("workers")
    return tuple(_reasons(workers if isinstance(workers, list) else []))


def _reasons(workers: Iterable[Any]) -> Iterable[str]:
    for worker in workers:
        if not isinstance(worker, dict) or not isinstance(worker.get("reasons"), list):
            continue
        number = worker.get("worker")
        for reason in worker["reasons"]:
            if isinstance(reason, str) and reason:
                yield reason if number is None else f"worker {number}: {reason}"
