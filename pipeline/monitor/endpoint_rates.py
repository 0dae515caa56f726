"""Rates out of counters: how much they have increased between readings of an endpoint.

A counter that is smaller than before, or whose process has started again, began at 0 in between, so
no rate is ever negative. What was counted between the last reading and the restart is not known.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Samples, combined
from pipeline.monitor.endpoint_client import EndpointReading

WINDOW_S: Final = 10.0
"""Time that rates are averaged over. Counters increase with each commit, so over less time a slow
worker's rate would jump between zero and too much."""


class _Step(NamedTuple):
    seconds: float
    increases: Samples


class CounterRates:
    """Rates of one endpoint's counters over the last seconds."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._last: EndpointReading | None = None
        self._steps: deque[_Step] = deque()

    def add(self, reading: EndpointReading) -> None:
        """Add the next reading."""
        last, self._last = self._last, reading
        if last is None or reading.at <= last.at:
            return
        self._steps.append(_Step(reading.at - last.at, _increases(last.samples, reading.samples)))
        while len(self._steps) > 1 and self._seconds() > self._window_s:
            self._steps.popleft()

    def interrupt(self) -> None:
        """Note that the endpoint could not be read: what comes next is not averaged with before."""
        self._steps.clear()

    def _seconds(self) -> float:
        return sum(step.seconds for step in self._steps)

    def per_second(self) -> Samples | None:
        """Rate of each counter; None while there are less than two readings."""
        if not self._steps:
            return None
        seconds = self._seconds()
        total = combined(step.increases for step in self._steps)
        return {
            metric: {labels: value / seconds for labels, value in series.items()}
            for metric, series in total.items()
        }


def _increases(before: Samples, after: Samples) -> Samples:
    restarted = before.get(Metric.START_TIME) != after.get(Metric.START_TIME)
    return {
        metric: {
            labels: _increase(0.0 if restarted else before.get(metric, {}).get(labels, 0.0), value)
            for labels, value in series.items()
        }
        for metric, series in after.items()
        if metric.value.type == "counter"
    }


def _increase(before: float, after: float) -> float:
    return after - before if after >= before else after
