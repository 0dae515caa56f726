"""The worker's loop: consume → process → produce → commit, exactly once per raw record.

Rules of this file
    What lives here: the order of the calls on a session, and what to do about each kind of error.
    What is forbidden: Kafka, the clock, processes, signals, logs and settings. The loop knows the
    world only through `ports`, so the same tests run it on memory and on a real broker. A decision
    that can be made from values alone belongs in `bisection` or `circuit_breaker`, which are pure.

The idea
    One transaction covers one batch, or its first records when their outputs are enough for one:
    outputs and offsets are committed together or not at all. No transaction is open while the
    session reads, so a rebalance never interrupts one. A batch that takes long is given up after a
    commit, and what is left of it read again: a member that does not read loses its partitions.

When something fails, the committed offsets on the broker are the only truth:

- The transaction is lost but both clients are healthy → soft reset: abort, rewind to the committed
  offsets, and process the same batch again.
- The outcome of a commit is unknown, or a client is broken → hard reset: drop the session, open a
  new one, and continue from the committed offsets.
- The transaction took too long → a hard reset, then halves of it, down to one record.
- The broker rejects one of the records → bisect the batch until it is found, and dead-letter it.
- Kafka rejects the worker itself, fences it, or has lost its offsets → stop, and say why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.core.counts import OutcomeCounts
from pipeline.core.process import Processor
from pipeline.core.reasons import Stage
from pipeline.core.record import Role
from pipeline.errors import (
    AbortableError,
    BreakerOpenError,
    DataLossError,
    FencedError,
    RecordRefusedError,
    RefusedError,
    RegistryUnavailableError,
    TransactionTimeoutError,
    TransportError,
)
from pipeline.ports import (
    Batch,
    Broker,
    Clock,
    CrashGuard,
    Meter,
    Session,
    Stop,
)
from pipeline.worker.bisection import (
    QUARANTINED,
    ForcedOutcome,
    SubBatch,
    bisect,
    cut,
    isolate,
    remainder,
    spans,
    split,
)
from pipeline.worker.circuit_breaker import CircuitBreaker
from pipeline.worker.recovery import Recovery
from pipeline.worker.transaction import TransactionWriter
from pipeline.worker.transaction_size import TransactionHalving, TransactionLimits

_FOR_THE_OPERATOR: Final = (RefusedError, FencedError, DataLossError, BreakerOpenError)
"""Errors that no retry resolves."""
_PAUSE_S: Final = 1.0
"""Length of one pause while the circuit breaker is open; a stop request is noticed after it."""


class Worker:
    """Runs sessions of a broker until a stop is requested."""

    def __init__(  # noqa: PLR0913  made in one place, by keyword where it could be mixed up
        self,
        broker: Broker,
        processor: Processor,
        clock: Clock,
        meter: Meter,
        *,
        max_resets: int,
        breaker: CircuitBreaker,
        guard: CrashGuard,
        limits: TransactionLimits,
        max_batch_s: float,
    ) -> None:
        """`max_batch_s`: time after which the rest of a batch is read again.

        A consumer that does not read for long loses its partitions.
        """
        self._broker = broker
        self._writer = TransactionWriter(processor, clock, meter, limits)
        self._halving = TransactionHalving(limits)
        self._clock = clock
        self._meter = meter
        self._max_batch_s = max_batch_s
        self._recovery = Recovery(clock, meter, max_resets)
        self._breaker = breaker
        self._guard = guard

    def run(self, stop: Stop) -> None:
        """Run until `stop` is set. The current transaction is finished first.

        Raises RefusedError, FencedError or DataLossError at once, BreakerOpenError when stopped
        while the circuit breaker is open, and TransportError after `max_resets` consecutive resets
        without a commit.
        """
        while not stop.is_set():
            try:
                session = self._broker.open()
            except _FOR_THE_OPERATOR:
                raise
            except TransportError as error:
                self._recovery.wait("open", error, stop)
                continue
            try:
                self._run_session(session, stop)
            except _FOR_THE_OPERATOR:
                raise
            except TransportError as error:
                self._meter.assigned(())
                self._recovery.wait("hard reset", error, stop)
            finally:
                self._guard.finished()
                session.close()

    def _run_session(self, session: Session, stop: Stop) -> None:
        lost = 0
        while not stop.is_set():
            batch = self._collect(session)
            assigned = session.assigned()
            self._meter.assigned(assigned)
            self._breaker.inherit(batch.inherited)
            lost += batch.lost
            if batch.positions:
                self._recovery.begun()
                if self._commit_batch(session, batch, stop) and lost:
                    # Counted only now: a session that has to start again finds the same loss again.
                    self._meter.lost(lost)
                    lost = 0
            elif assigned:
                self._recovery.idle()
            self._meter.tick(session)

    def _collect(self, session: Session) -> Batch:
        started = self._clock.monotonic()
        batch = session.collect()
        passed = self._clock.monotonic() - started
        self._meter.spent("wait", batch.waited_s)
        self._meter.spent("read", max(0.0, passed - batch.waited_s))
        self._meter.collected(batch.records)
        return batch

    def _check_breaker(self, session: Session, queue: Iterable[SubBatch], stop: Stop) -> None:
        """Ask the circuit breaker before anything is written.

        When it opens, the worker stays in the group without reading until it is stopped. The batch
        is processed twice, so that its outputs need not all be kept in memory.
        """
        would_be = OutcomeCounts()
        now = self._clock.now()
        for sub_batch in queue:
            would_be.records += len(sub_batch.batch.records)
            self._guard.started(spans(sub_batch.batch.records))
            for record in sub_batch.batch.records:
                for output in self._writer.outputs(record, now, sub_batch.forced):
                    would_be.count(output)
        self._guard.finished()
        trip = self._breaker.watch(would_be)
        if trip is None:
            return
        self._meter.tripped(trip)
        while not stop.is_set():
            session.pause(_PAUSE_S)
            self._meter.assigned(session.assigned())
            self._meter.tick(session)
        raise BreakerOpenError(trip.sentence())

    def _split(self, batch: Batch) -> list[SubBatch]:
        suspects = [*self._guard.suspects(), *self._halving.suspects]
        quarantined = dict.fromkeys(self._guard.quarantined(), QUARANTINED)
        return split(batch, suspects, {**quarantined, **self._halving.oversized})

    def _commit_batch(self, session: Session, batch: Batch, stop: Stop) -> bool:
        """Commit the batch, usually in one transaction. Return whether all of it is committed."""
        deadline = self._clock.monotonic() + self._max_batch_s
        queue = deque(self._split(batch))
        try:
            if batch.records and self._breaker.armed:
                self._check_breaker(session, queue, stop)
        except RegistryUnavailableError as error:  # no transaction is open yet
            self._guard.finished()
            return self._rewind(session, queue, error, stop)
        while queue and not stop.is_set():
            sub_batch = queue[0]
            self._guard.started(spans(sub_batch.batch.records))
            try:
                written = self._writer.write(
                    session, sub_batch, self._breaker, self._halving.max_records
                )
            except RecordRefusedError as error:
                self._abort(session)
                queue.popleft()
                queue.extendleft(reversed(self._after_rejection(sub_batch, error)))
            except TransactionTimeoutError as error:
                raise self._halved(sub_batch, error) from error
            except AbortableError as error:
                self._abort(session)
                return self._rewind(session, queue, error, stop)
            else:
                queue.popleft()
                queue.extendleft(reversed(written.rest))
                self._breaker = written.breaker
                self._halving.committed(written.committed.records)
                self._recovery.settle()
                self._meter.committed(written.committed)
                if queue:  # what is left of the batch still waits
                    self._meter.collected([each for sub in queue for each in sub.batch.records])
                self._recovery.end()
            finally:
                self._guard.finished()
            if queue and self._clock.monotonic() > deadline:
                session.rewind(remainder(queue))
                return False
        return not queue

    def _rewind(
        self, session: Session, queue: Sequence[SubBatch], error: TransportError, stop: Stop
    ) -> bool:
        """Read what is left again, after a while. Return that not all of it is committed."""
        session.rewind(remainder(queue))
        self._recovery.wait("soft reset", error, stop)
        return False

    def _abort(self, session: Session) -> None:
        session.abort()
        self._meter.aborted()

    def _halved(self, sub_batch: SubBatch, error: Exception) -> TransactionTimeoutError:
        """Note a transaction that took too long, and return the error with what follows."""
        size, records = self._writer.size, sub_batch.batch.records
        step = self._halving.timed_out(size, records[0] if records else None)
        message = f"{error}. It had {size}; {step.sentence}"
        if step.oversized is not None:
            self._meter.isolated(step.oversized, message)
        return TransactionTimeoutError(message, is_halved=step.is_halved)

    def _after_rejection(self, sub_batch: SubBatch, error: RecordRefusedError) -> list[SubBatch]:
        """Return what to try instead of a sub-batch in which the broker rejects a record."""
        sub_batch, *rest = cut(sub_batch, self._writer.size.records)
        return [*self._without_rejected(sub_batch, error), *rest]

    def _without_rejected(self, sub_batch: SubBatch, error: RecordRefusedError) -> list[SubBatch]:
        records = sub_batch.batch.records
        if len(records) > 1:
            self._meter.bisecting(len(records), str(error))
            if error.nth is None:
                return bisect(sub_batch)
            return isolate(sub_batch, self._writer.number_of(error.nth, sub_batch))
        if error.role is Role.DEAD_LETTER and not sub_batch.pointers:
            changed = sub_batch._replace(pointers=True)
        elif error.role is not Role.DEAD_LETTER and sub_batch.forced is None and records:
            forced = ForcedOutcome(error.reason, Stage.PRODUCE, f"the broker rejected it: {error}")
            changed = sub_batch._replace(forced=forced)
        else:
            raise RefusedError(str(error)) from error
        self._meter.isolated(records[0], str(error))
        return [changed]
