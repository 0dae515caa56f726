"""What the worker's tests share: a clock, a meter that remembers, a stop after enough records."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.counts import OutcomeCounts
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.ports import (
    Broker,
    CircuitBreakerTrip,
    CommittedBatch,
    CrashGuard,
    Lag,
    Phase,
    Session,
    Span,
)
from pipeline.worker.circuit_breaker import CircuitBreaker, CircuitBreakerRules
from pipeline.worker.loop import Worker
from pipeline.worker.transaction_size import TransactionLimits

NOW = 1_800_000_000_000
LIMITS = TransactionLimits(20_000, 33_554_432, 6.0)
NO_BREAKER = CircuitBreakerRules("off", 10_000, 0.1, None)


def committed_batch(counts: OutcomeCounts, records: Sequence[Record] = ()) -> CommittedBatch:
    """What a meter is told of a transaction with these counts."""
    return CommittedBatch(counts, records, {}, {}, 0.01)


class FixedClock:
    """See `ports.Clock`; time passes only when a test says so."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        """The moment that was set."""
        return self.time

    def monotonic(self) -> float:
        """The same moment in seconds."""
        return self.time / 1000


class Remembering:
    """A meter that remembers every call and asks for a stop after `enough` records.

    `to_end` waits until there is no lag, too.
    """

    def __init__(self, stop: threading.Event, enough: int, *, to_end: bool = False) -> None:
        self.total = OutcomeCounts()
        self.batches: list[CommittedBatch] = []
        self.phases: dict[Phase, float] = {}
        self.aborts = 0
        self.left: list[int] = []
        """Numbers of records that were reported as collected after the first commit."""
        self.recoveries: list[tuple[str, str]] = []
        self.recovered_after: list[int] = []
        """Beside each recovery that was over: how many resets there had been."""
        self.assignments: list[list[int]] = []
        """Each time that other partitions were held."""
        self.crashes: list[Record] = []
        self.lags: list[Lag | None] = []
        self.isolations: list[tuple[Record, str]] = []
        self.bisections: list[int] = []
        self.losses: list[int] = []
        self.trips: list[CircuitBreakerTrip] = []
        self.stop = stop
        self._enough = enough
        self._to_end = to_end
        self._end_if_enough()

    def _end_if_enough(self) -> None:
        at_end = bool(self.lags) and self.lags[-1] is not None and not self.lags[-1].offsets
        if self.total.records >= self._enough and (at_end or not self._to_end):
            self.stop.set()

    def spent(self, phase: Phase, seconds: float) -> None:
        """See `ports.Meter`."""
        self.phases[phase] = self.phases.get(phase, 0.0) + seconds

    def collected(self, records: Sequence[Record]) -> None:
        """See `ports.Meter`."""
        if self.batches and records:
            self.left.append(len(records))

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        self.total += batch.counts
        self.batches.append(batch)
        self._end_if_enough()

    def aborted(self) -> None:
        """See `ports.Meter`."""
        self.aborts += 1

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        self.lags.append(session.lag())
        self._end_if_enough()

    def assigned(self, partitions: Collection[int]) -> None:
        """See `ports.Meter`."""
        now = sorted(partitions)
        if now != (self.assignments[-1] if self.assignments else []):
            self.assignments.append(now)

    def recovered(self) -> None:
        """See `ports.Meter`."""
        self.recovered_after.append(len(self.recoveries))

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        del attempt
        self.recoveries.append((how, str(error)))

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`."""
        del error
        self.crashes.append(record)

    def isolated(self, record: Record, cause: str) -> None:
        """See `ports.Meter`."""
        self.isolations.append((record, cause))

    def bisecting(self, records: int, cause: str) -> None:
        """See `ports.Meter`."""
        del cause
        self.bisections.append(records)

    def lost(self, records: int) -> None:
        """See `ports.Meter`."""
        self.losses.append(records)

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """See `ports.Meter`."""
        self.trips.append(trip)


class Guard:
    """A crash guard with a diary, whose suspects and quarantined spans a test sets."""

    def __init__(self, suspects: Sequence[Span] = (), quarantined: Sequence[Span] = ()) -> None:
        self.entered: list[list[Span]] = []
        self.working_on: list[Span] = []
        self._suspects = suspects
        self._quarantined = quarantined

    def started(self, spans: Sequence[Span]) -> None:
        """See `ports.CrashGuard`."""
        self.working_on = list(spans)
        self.entered.append(list(spans))

    def finished(self) -> None:
        """See `ports.CrashGuard`."""
        self.working_on = []

    def suspects(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return self._suspects

    def quarantined(self) -> Sequence[Span]:
        """See `ports.CrashGuard`."""
        return self._quarantined


class NoWait(threading.Event):
    """A stop flag whose waits end at once: pauses between resets are not what is tested."""

    def wait(self, timeout: float | None = None) -> bool:
        """Do not wait."""
        del timeout
        return self.is_set()


def processor(**settings: Any) -> Processor:
    """The contract under these settings."""
    return Processor(
        ContractSettings.model_validate(settings), Identity(app="track-pipeline/test", group="g")
    )


def make_worker(
    broker: Broker,
    contract: Processor,
    meter: Remembering,
    *,
    max_resets: int = 3,
    guard: CrashGuard | None = None,
    rules: CircuitBreakerRules = NO_BREAKER,
    clock: FixedClock | None = None,
    limits: TransactionLimits = LIMITS,
    max_batch_s: float = 60.0,
) -> Worker:
    """A worker whose clock does not go on by itself."""
    return Worker(
        broker,
        contract,
        clock or FixedClock(),
        meter,
        max_resets=max_resets,
        breaker=CircuitBreaker(rules, contract.contract, origin=False),
        guard=guard or Guard(),
        limits=limits,
        max_batch_s=max_batch_s,
    )


def work(
    broker: Broker,
    records: int,
    *,
    contract: Processor | None = None,
    max_resets: int = 3,
    give_up_s: float | None = None,
    guard: CrashGuard | None = None,
    rules: CircuitBreakerRules = NO_BREAKER,
    to_end: bool = False,
    limits: TransactionLimits = LIMITS,
) -> Remembering:
    """Run a worker until so many records are committed (or `give_up_s`); what it said.

    `to_end`: until nothing is left to commit.
    """
    stop = NoWait() if give_up_s is None else threading.Event()
    meter = Remembering(stop, records, to_end=to_end)
    worker = make_worker(
        broker,
        contract or processor(),
        meter,
        max_resets=max_resets,
        guard=guard,
        rules=rules,
        limits=limits,
    )
    watchdog = threading.Timer(give_up_s or 60.0, stop.set)
    watchdog.start()
    try:
        worker.run(stop)
    finally:
        watchdog.cancel()
    return meter
