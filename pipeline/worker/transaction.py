"""One transaction of the worker: process its records, send the outputs, commit both together.

Rules of this file
    What lives here: the way of a record from the contract to the session, and what a transaction
    counts. It runs for every record, so nothing is called that could be left out.
    What is forbidden: deciding what follows from an error. That is the loop's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.core.counts import OutcomeCounts
from pipeline.core.dead_letter import pointer_to
from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Revenue, Role, output_bytes
from pipeline.errors import TooLargeError, TransportError
from pipeline.ports import Clock, CommittedBatch, Meter, Session
from pipeline.worker.bisection import ForcedOutcome, SubBatch, cut
from pipeline.worker.circuit_breaker import CircuitBreaker
from pipeline.worker.transaction_size import TransactionLimits, TransactionSize

# Globals are found faster than members of an enum.
_ENRICHED: Final = Role.ENRICHED
_CHUNK: Final = 8
"""Number of records that are processed before their outputs are sent. The clock is read twice for
each chunk; a batch call, which may have thousands of outputs, ends one."""


class WrittenTransaction(NamedTuple):
    """What has become of a sub-batch."""

    committed: CommittedBatch
    breaker: CircuitBreaker
    """The circuit breaker after it."""
    rest: list[SubBatch]
    """What did not fit, and is not committed yet."""


@dataclass(slots=True)
class _Contents:
    """What the open transaction holds."""

    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    outputs: int = 0
    output_bytes: int = 0
    expected: int = 0
    """Number of events in the records, counted apart from their outcomes."""
    revenue: list[tuple[Role, Revenue]] = field(default_factory=list)

    def size(self) -> TransactionSize:
        """Return how large the transaction is."""
        return TransactionSize(self.counts.records, self.outputs, self.output_bytes)


class TransactionWriter:
    """Writes sub-batches, each in a transaction of its own, or in several when it is large."""

    def __init__(
        self, processor: Processor, clock: Clock, meter: Meter, limits: TransactionLimits
    ) -> None:
        self._processor = processor
        self._clock = clock
        self._meter = meter
        self._limits = limits
        self._contents = _Contents()

    @property
    def size(self) -> TransactionSize:
        """Size of the last transaction, also of one that failed."""
        return self._contents.size()

    def write(
        self, session: Session, sub_batch: SubBatch, breaker: CircuitBreaker, max_records: int
    ) -> WrittenTransaction:
        """Write and commit a sub-batch, or as many of its first records as are enough.

        Errors are those of `Session`; nothing is committed then, or nobody knows.
        """
        self._contents = contents = _Contents()
        now, timer = self._clock.now(), self._clock.monotonic
        session.begin()
        self._fill(session, sub_batch, now, max_records)
        counts = contents.counts
        rest: list[SubBatch] = []
        if counts.records < len(sub_batch.batch.records):
            sub_batch, *rest = cut(sub_batch, counts.records)
        batch = sub_batch.batch
        breaker = breaker.after(counts)
        began = timer()
        session.commit(batch.positions, breaker.note(now), counts)
        commit_s = timer() - began
        self._meter.spent("commit", commit_s)
        revenue = contents.revenue
        enriched = _by_currency(each for role, each in revenue if role is Role.ENRICHED)
        blocked = _by_currency(each for role, each in revenue if role is Role.DEAD_LETTER)
        committed = CommittedBatch(
            counts, batch.records, enriched, blocked, commit_s, contents.expected
        )
        return WrittenTransaction(committed, breaker, rest)

    def _fill(self, session: Session, sub_batch: SubBatch, now: int, max_records: int) -> None:
        """Process records and send their outputs until there are enough, or no more records."""
        contents, limits, timer = self._contents, self._limits, self._clock.monotonic
        counts, records = contents.counts, sub_batch.batch.records
        most = min(max_records, len(records))
        processing = sending = 0.0
        began = lap = timer()
        try:
            while counts.records < most:
                chunk = records[counts.records : min(counts.records + _CHUNK, most)]
                made = self._process(chunk, now, sub_batch.forced)
                processed = timer()
                processing += processed - lap
                self._send(session, made, pointers=sub_batch.pointers)
                lap = timer()
                sending += lap - processed
                if (
                    contents.outputs >= limits.outputs
                    or contents.output_bytes >= limits.output_bytes
                    or lap - began >= limits.seconds
                ):
                    break
        finally:
            self._meter.spent("process", processing)
            self._meter.spent("send", sending)

    def _process(self, chunk: list[Record], now: int, forced: ForcedOutcome | None) -> list[Output]:
        """Return the outputs of the first records of a chunk, at most of one batch call."""
        contents, outputs_of = self._contents, self.outputs
        made: list[Output] = []
        records = expected = 0
        for record in chunk:
            outputs = outputs_of(record, now, forced)
            made += outputs
            records += 1
            if type(outputs) is not tuple:  # more than the one that is usual
                expected += expected_outcomes(self._processor.text(record), outputs) - 1
                break
        contents.counts.records += records
        contents.expected += records + expected
        return made

    def _send(self, session: Session, made: list[Output], *, pointers: bool) -> None:
        contents, send = self._contents, session.send
        enriched = 0
        contents.outputs += len(made)
        contents.output_bytes += sum(map(output_bytes, made))
        for output in made:
            role, revenue = output[0], output[7]
            if role is _ENRICHED:
                enriched += 1
                send(output)
            else:
                contents.counts.count(output)
                if role is Role.DROPPED:
                    contents.outputs -= 1
                else:
                    self._send_other(session, output, pointers=pointers)
            if revenue is not None:
                contents.revenue.append((role, revenue))
        contents.counts.enriched += enriched

    def outputs(self, record: Record, now: int, forced: ForcedOutcome | None) -> tuple[Output, ...]:
        """Return the outputs of a record; never raises, whatever the contract does."""
        if forced is not None:
            return (self._processor.set_aside(record, now, *forced),)
        try:
            return self._processor.process(record, now)
        except TransportError:
            raise  # a schema can't be looked up now, which is no fault of the record
        except Exception as error:  # noqa: BLE001  the one catch for bugs of our own
            self._meter.crashed(record, error)
            return (self._processor.crashed(record, now),)

    def number_of(self, nth: int, sub_batch: SubBatch) -> int:
        """Find the record that produced the nth output, by processing the sub-batch again."""
        written, now = 0, self._clock.now()
        for number, record in enumerate(sub_batch.batch.records):
            outputs = self.outputs(record, now, sub_batch.forced)
            written += sum(output.role is not Role.DROPPED for output in outputs)
            if nth < written:
                return number
        raise AssertionError  # it was one of them

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
