"""The loop: consume → process → produce → commit, exactly once per raw record.

One transaction covers one collected batch: its outputs and its offsets are committed together or
not at all. No transaction is open while the session collects, so a rebalance never meets one.

When something fails, the broker's committed offsets are the only truth:

- the transaction is lost, the clients are well → soft reset: abort, rewind, the same batch again;
- the outcome of a commit is unknown, or a client is broken → hard reset: drop the session, open
  a new one, go on from the committed offsets;
- the broker refuses one of the records → the batch in halves until it is found; a dead letter;
- Kafka refuses, fences us or has lost our offsets → stop with the sentence that says so.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pipeline.core.counts import Tally
from pipeline.core.dead_letter import pointer_to
from pipeline.core.process import Processor
from pipeline.core.reasons import Stage
from pipeline.core.record import Output, Record, Role
from pipeline.errors import (
    AbortableError,
    BreakerOpenError,
    DataLossError,
    FencedError,
    RecordRefusedError,
    RefusedError,
    TooLargeError,
    TransportError,
)
from pipeline.ports import Batch, Broker, Clock, CrashGuard, Meter, Session, Stop
from pipeline.worker.bisection import (
    ForcedOutcome,
    SubBatch,
    bisect,
    isolate,
    remainder,
    spans,
    split,
)
from pipeline.worker.circuit_breaker import CircuitBreaker

_FOR_THE_OPERATOR: Final = (RefusedError, FencedError, DataLossError, BreakerOpenError)
_LONGEST_PAUSE_S: Final = 30.0
_HOLD_S: Final = 1.0
_CALM_MS: Final = 60_000
"""After so long of reading without a failure the resets before it are over, although nothing was
committed: else those of an idle worker would add up over weeks until it gives up."""


class Worker:
    """Runs sessions of a broker until it is asked to stop."""

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
    ) -> None:
        self._broker = broker
        self._processor = processor
        self._clock = clock
        self._meter = meter
        self._max_resets = max_resets
        self._breaker = breaker
        self._guard = guard
        self._resets = 0
        self._reading_since: int | None = None
        """Since when the worker reads after its last reset, epoch milliseconds."""
        self._owes_commit = False
        """A batch has failed, and none was committed since."""
        self._unwell = False
        """Since the last reset nothing has shown that the worker works again."""

    def run(self, stop: Stop) -> None:
        """Work until `stop`; the transaction at hand is finished first.

        Raises RefusedError, FencedError or DataLossError at once, BreakerOpenError when it is
        stopped while the breaker holds it, and TransportError after `max_resets` resets in a row
        without a commit between them.
        """
        while not stop.is_set():
            try:
                session = self._broker.open()
            except _FOR_THE_OPERATOR:
                raise
            except TransportError as error:
                self._pause("open", error, stop)
                continue
            try:
                self._run_session(session, stop)
            except _FOR_THE_OPERATOR:
                raise
            except TransportError as error:
                self._meter.assigned(())
                self._pause("hard reset", error, stop)
            finally:
                self._guard.finished()
                session.close()

    def _run_session(self, session: Session, stop: Stop) -> None:
        lost = 0
        while not stop.is_set():
            batch = session.collect()
            assigned = session.assigned()
            self._meter.assigned(assigned)
            self._breaker.inherit(batch.inherited)
            lost += batch.lost
            if batch.positions:
                if batch.records and self._breaker.armed:
                    self._admit(session, batch, stop)
                self._owes_commit = True
                if self._work_on(session, batch, stop) and lost:
                    # Not before: a session that begins anew finds the same loss again.
                    self._meter.lost(lost)
                    lost = 0
            elif assigned:
                self._reads()
            self._meter.tick(session)

    def _admit(self, session: Session, batch: Batch, stop: Stop) -> None:
        """Ask the breaker before anything is written; it may hold the worker until it is stopped.

        The batch is processed twice, instead of keeping all of its outputs in memory.
        """
        would_be = Tally(records=len(batch.records))
        now = self._clock.now()
        for sub_batch in self._pieces(batch):
            self._guard.started(spans(sub_batch.batch.records))
            for record in sub_batch.batch.records:
                for output in self._outputs(record, now, sub_batch.forced):
                    would_be.count(output)
        self._guard.finished()
        trip = self._breaker.watch(would_be)
        if trip is None:
            return
        self._meter.tripped(trip)
        while not stop.is_set():
            session.pause(_HOLD_S)
            self._meter.assigned(session.assigned())
            self._meter.tick(session)
        raise BreakerOpenError(trip.sentence())

    def _pieces(self, batch: Batch) -> list[SubBatch]:
        return split(batch, self._guard.suspects(), self._guard.quarantined())

    def _work_on(self, session: Session, batch: Batch, stop: Stop) -> bool:
        """Commit the batch, as a rule in one transaction; whether all of it is committed."""
        queue = deque(self._pieces(batch))
        while queue and not stop.is_set():
            sub_batch = queue[0]
            self._guard.started(spans(sub_batch.batch.records))
            try:
                tally = self._transact(session, sub_batch)
            except RecordRefusedError as error:
                session.abort()
                queue.popleft()
                queue.extendleft(reversed(self._narrowed(sub_batch, error)))
            except AbortableError as error:
                session.abort()
                session.rewind(remainder(queue))
                self._pause("soft reset", error, stop)
                return False
            else:
                queue.popleft()
                self._resets = 0
                self._owes_commit = False
                self._meter.committed(tally)
                self._recovered()
            finally:
                self._guard.finished()
        return not queue

    def _narrowed(self, sub_batch: SubBatch, error: RecordRefusedError) -> list[SubBatch]:
        """What to try instead of a piece that holds a record which the broker refuses."""
        records = sub_batch.batch.records
        if len(records) > 1:
            self._meter.bisecting(len(records), str(error))
            if error.nth is None:
                return bisect(sub_batch)
            return isolate(sub_batch, self._number_of(error.nth, sub_batch))
        if error.role is Role.DEAD_LETTER and not sub_batch.pointers:
            changed = sub_batch._replace(pointers=True)
        elif error.role is not Role.DEAD_LETTER and sub_batch.forced is None and records:
            forced = ForcedOutcome(error.reason, Stage.PRODUCE, f"the broker refused it: {error}")
            changed = sub_batch._replace(forced=forced)
        else:
            raise RefusedError(str(error)) from error
        self._meter.isolated(records[0], str(error))
        return [changed]

    def _number_of(self, nth: int, sub_batch: SubBatch) -> int:
        """Which of the records gave the nth output: they are processed again to see it."""
        written, now = 0, self._clock.now()
        for number, record in enumerate(sub_batch.batch.records):
            outputs = self._outputs(record, now, sub_batch.forced)
            written += sum(output.role is not Role.DROPPED for output in outputs)
            if nth < written:
                return number
        raise AssertionError  # it was one of them

    def _transact(self, session: Session, sub_batch: SubBatch) -> Tally:
        batch, forced = sub_batch.batch, sub_batch.forced
        tally = Tally(records=len(batch.records))
        send, now = session.send, self._clock.now()
        session.begin()
        for record in batch.records:
            for output in self._outputs(record, now, forced):
                if output.role is Role.ENRICHED:
                    tally.enriched += 1
                    send(output)
                else:
                    tally.count(output)
                    if output.role is not Role.DROPPED:
                        self._send_other(session, output, pointers=sub_batch.pointers)
        breaker = self._breaker.after(tally)
        session.commit(batch.positions, breaker.note(now), tally)
        self._breaker = breaker
        return tally

    def _outputs(
        self, record: Record, now: int, forced: ForcedOutcome | None
    ) -> tuple[Output, ...]:
        if forced is not None:
            return (self._processor.set_aside(record, now, *forced),)
        try:
            return self._processor.process(record, now)
        except Exception as error:  # noqa: BLE001  the one catch for bugs of our own
            self._meter.crashed(record, error)
            return (self._processor.crashed(record, now),)

    def _send_other(self, session: Session, output: Output, *, pointers: bool) -> None:
        if output.role is not Role.DEAD_LETTER:
            session.send(output)
            return
        if pointers:
            output = pointer_to(output)
        try:
            session.send(output)
        except TooLargeError:
            session.send(pointer_to(output))

    def _pause(self, how: str, error: TransportError, stop: Stop) -> None:
        """Count a reset and wait before the next try, longer each time."""
        self._resets += 1
        self._reading_since = None
        if self._resets > self._max_resets:
            message = f"gave up after {self._max_resets} attempts without a commit: {error}"
            raise TransportError(message) from error
        self._unwell = True
        self._meter.recovering(how, error, self._resets)
        stop.wait(min(_LONGEST_PAUSE_S, 0.1 * 2 ** (self._resets - 1)))

    def _reads(self) -> None:
        """The worker reads, and there is nothing to commit.

        After a commit that failed that alone shows nothing: what is to be committed may be late.
        """
        now = self._clock.now()
        if self._reading_since is None:
            self._reading_since = now
        if now - self._reading_since >= _CALM_MS:
            self._resets = 0
            self._owes_commit = False
        if not self._owes_commit:
            self._recovered()

    def _recovered(self) -> None:
        if self._unwell:
            self._unwell = False
            self._meter.recovered()
