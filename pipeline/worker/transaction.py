"""One transaction of the worker: process its records, send the outputs, commit both together.

Rules of this file
    What lives here: the way of a record from the contract to the session, and what a transaction
    counts. It runs for every record, so nothing is called that could be left out.
    What is forbidden: deciding what follows from an error. That is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.counts import OutcomeCounts
from pipeline.core.dead_letter import pointer_to
from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Revenue, Role
from pipeline.errors import TooLargeError
from pipeline.ports import Clock, CommittedBatch, Meter, Session
from pipeline.worker.bisection import ForcedOutcome, SubBatch
from pipeline.worker.circuit_breaker import CircuitBreaker


class TransactionWriter:
    """Writes sub-batches, each in a transaction of its own."""

    def __init__(self, processor: Processor, clock: Clock, meter: Meter) -> None:
        self._processor = processor
        self._clock = clock
        self._meter = meter

    def write(
        self, session: Session, sub_batch: SubBatch, breaker: CircuitBreaker
    ) -> tuple[CommittedBatch, CircuitBreaker]:
        """Write and commit a sub-batch; return what was committed, and the breaker after it.

        Errors are those of `Session`; nothing is committed then, or nobody knows.
        """
        batch, forced = sub_batch.batch, sub_batch.forced
        counts = OutcomeCounts(records=len(batch.records))
        expected = counts.records
        revenue: list[tuple[Role, Revenue]] = []
        send, now, timer = session.send, self._clock.now(), self._clock.monotonic
        processing = sending = 0.0
        session.begin()
        lap = timer()
        try:
            for record in batch.records:
                outputs = self.outputs(record, now, forced)
                if type(outputs) is not tuple:  # more than the one that is usual
                    expected += expected_outcomes(record, outputs) - 1
                processed = timer()
                processing += processed - lap
                for output in outputs:
                    if output.role is Role.ENRICHED:
                        counts.enriched += 1
                        send(output)
                    else:
                        counts.count(output)
                        if output.role is not Role.DROPPED:
                            self._send_other(session, output, pointers=sub_batch.pointers)
                    if output.revenue is not None:
                        revenue.append((output.role, output.revenue))
                lap = timer()
                sending += lap - processed
        finally:
            self._meter.spent("process", processing)
            self._meter.spent("send", sending)
        breaker = breaker.after(counts)
        session.commit(batch.positions, breaker.note(now), counts)
        commit_s = timer() - lap
        self._meter.spent("commit", commit_s)
        enriched = _by_currency(each for role, each in revenue if role is Role.ENRICHED)
        blocked = _by_currency(each for role, each in revenue if role is Role.DEAD_LETTER)
        committed = CommittedBatch(counts, batch.records, enriched, blocked, commit_s, expected)
        return committed, breaker

    def outputs(self, record: Record, now: int, forced: ForcedOutcome | None) -> tuple[Output, ...]:
        """Return the outputs of a record; never raises, whatever the contract does."""
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


def _by_currency(revenue: Iterable[Revenue]) -> dict[str, float]:
    """Add up amounts above zero, for statistics: exact sums are the audit's."""
    sums: dict[str, float] = {}
    for currency, amount in revenue:
        if amount > 0:
            sums[currency] = sums.get(currency, 0.0) + float(amount)
    return sums
