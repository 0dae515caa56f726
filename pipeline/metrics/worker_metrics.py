"""Counts what one worker does: per batch, never per event."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import get_args

from pipeline.core.reasons import Reason
from pipeline.core.record import Record
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.memory import resident_bytes
from pipeline.metrics.record_ages import RecordAges
from pipeline.metrics.samples import BOUNDS, Counts, Histogram, Labels
from pipeline.metrics.snapshot import State, WorkerCondition, WorkerSnapshot
from pipeline.ports import ClientStatistics, CommittedBatch, Lag, Phase

_LABELS: dict[Metric, tuple[str, ...]] = {
    Metric.EVENTS_DEAD_LETTERED: tuple(Reason),
    Metric.EVENTS_DROPPED: (Reason.UNSUPPORTED_TYPE,),
    Metric.TRANSACTIONS: ("committed", "aborted"),
    Metric.RESETS: ("soft", "hard", "open"),
    Metric.PHASE_SECONDS: get_args(Phase),
}
"""Labels of the counters that have one with known values."""
_ZEROS: dict[Metric, dict[Labels, float]] = {
    metric: {(label,): 0.0 for label in _LABELS[metric]} if metric.value.labels else {(): 0.0}
    for metric in Metric
    if metric.value.type == "counter" and (metric in _LABELS or not metric.value.labels)
}
"""Every series from the start on: the first increase of one that appears later would not show."""

_value, _timestamp, _partition = itemgetter(0), itemgetter(3), itemgetter(5)
"""Fields of a Record, read several times as fast as by their names."""


class WorkerMetrics:
    """Counters, histograms and condition of one worker. Its owner protects it with a lock."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        instance: str | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._counts = Counts(_ZEROS)
        self._histograms = {metric: Histogram.empty(metric) for metric in BOUNDS}
        self._cpu = time.process_time()
        self._ages = RecordAges()
        self._condition = WorkerCondition(
            monotonic(), pid=os.getpid(), instance=instance, moved_at=monotonic()
        )
        self._clients: ClientStatistics | None = None

    def started(self, clients: ClientStatistics, retention_ms: int) -> None:
        """Note what is known once the topics are in order; a retention below 0 is unlimited."""
        self._clients = clients
        self._condition.retention_s = retention_ms / 1000 if retention_ms >= 0 else None

    def spent(self, phase: Phase, seconds: float) -> None:
        """See `ports.Meter`."""
        self._counts.add(Metric.PHASE_SECONDS, seconds, phase)

    def collected(self, records: Sequence[Record]) -> None:
        """See `ports.Meter`."""
        self._ages.collected(records, self._now_ms())
        if records:
            self._owe()

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        counts, add = batch.counts, self._counts.add
        add(Metric.TRANSACTIONS, 1, "committed")
        add(Metric.RECORDS_CONSUMED, counts.records)
        add(Metric.EVENTS_CONSUMED, batch.expected)
        add(Metric.EVENTS_ENRICHED, counts.enriched)
        add(Metric.EVENTS_FORWARDED, counts.forwarded)
        add(Metric.IDENTIFIES, counts.identify)
        for reason, number in counts.dead_letters.items():
            add(Metric.EVENTS_DEAD_LETTERED, number, reason)
        for reason, number in counts.dropped.items():
            add(Metric.EVENTS_DROPPED, number, reason)
        for currency, amount in batch.revenue.items():
            add(Metric.REVENUE_ENRICHED, amount, currency)
        for currency, amount in batch.blocked_revenue.items():
            add(Metric.REVENUE_BLOCKED, amount, currency)
        self._observe(batch)
        self._ages.committed(set(map(_partition, batch.records)))
        condition = self._condition
        condition.committed_at = self._wall_clock()
        condition.owes_since = None
        condition.moved_at = self._monotonic()

    def _observe(self, batch: CommittedBatch) -> None:
        self._histograms[Metric.COMMIT_SECONDS].observe(Metric.COMMIT_SECONDS, [batch.commit_s])
        records = batch.records
        if not records:
            return
        values, timestamps = map(_value, records), map(_timestamp, records)
        sizes = list(map(len, filter(None, values)))
        self._counts.add(Metric.BYTES_CONSUMED, sum(sizes))
        now = self._now_ms()
        latencies_ms = [now - each for each in timestamps if each and each > 0]
        if min(latencies_ms, default=0) < 0:  # senders may set timestamps in the future
            latencies_ms = [max(0, each) for each in latencies_ms]
        for metric, observed, scale in (
            (Metric.TRANSACTION_RECORDS, [len(records)], 1),
            (Metric.RECORD_BYTES, [0] * (len(records) - len(sizes)) + sizes, 1),
            (Metric.LATENCY_SECONDS, latencies_ms, 1000),
        ):
            self._histograms[metric].observe(metric, observed, scale)

    def count(self, metric: Metric, value: float = 1, *labels: str) -> None:
        """Add to any other counter."""
        self._counts.add(metric, value, *labels)

    def moved(self) -> None:
        """Note that the loop has completed an iteration."""
        self._condition.moved_at = self._monotonic()

    def assigned(self, partitions: Collection[int]) -> None:
        """Note which partitions are assigned after they have changed."""
        self._counts.add(Metric.REBALANCES, 1)
        self._condition.partitions = len(partitions)

    def lagging(self, lag: Lag | None) -> None:
        """Note the lag; None while it is not known."""
        condition = self._condition
        condition.lag = lag
        if lag is None:
            return
        self._ages.lagging(lag, self._now_ms())
        if lag.offsets:
            self._owe()
        elif lag.partitions:
            condition.owes_since = None

    def to_look_up(self) -> Mapping[int, int]:
        """Return positions of partitions whose oldest record is to be looked up."""
        return self._ages.to_look_up(self._now_ms())

    def looked_up(self, positions: Mapping[int, int], timestamps: Mapping[int, int | None]) -> None:
        """Note what was looked up for these positions."""
        self._ages.found(positions, timestamps)

    def reset(self) -> None:
        """Note that the session is given up: its partitions may have other owners by now."""
        self._ages.forget()
        self._condition.lag = None
        self._condition.owes_since = None

    def state(self, state: State, cause: str = "") -> None:
        """Note what the worker is doing."""
        self._condition.state, self._condition.cause = state, cause

    def snapshot(self) -> WorkerSnapshot:
        """Return everything as it is now."""
        condition = self._condition
        condition.written_at = self._monotonic()
        condition.ages = self._current_ages()
        put = self._counts.put
        put(Metric.CPU_SECONDS, time.process_time() - self._cpu)
        put(Metric.MEMORY_BYTES, resident_bytes())
        self._put_clients()
        return WorkerSnapshot.make(condition, self._counts.samples(), self._histograms)

    def _current_ages(self) -> dict[int, float]:
        lag = self._condition.lag
        assigned = lag.by_partition if lag else ()
        return dict.fromkeys(assigned, 0.0) | self._ages.ages(self._now_ms())

    def _put_clients(self) -> None:
        if self._clients is None:
            return
        put = self._counts.put
        put(Metric.PRODUCER_ROTATIONS, self._clients.rotations())
        for client, figures in self._clients.figures().items():
            put(Metric.CLIENT_ROUND_TRIP, figures.round_trip_s, client)
            put(Metric.CLIENT_QUEUE_RECORDS, figures.queue_records, client)
            put(Metric.CLIENT_QUEUE_BYTES, figures.queue_bytes, client)
            put(Metric.CLIENT_THROTTLE, figures.throttle_s, client)
            put(Metric.CLIENT_RETRIES, figures.retries, client)
            for kind, number in figures.errors.items():
                put(Metric.CLIENT_ERRORS, number, client, kind)

    def _owe(self) -> None:
        if self._condition.owes_since is None:
            self._condition.owes_since = self._monotonic()

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)
