"""The loop: consume → process → produce → commit, exactly once per raw record.

One transaction covers one collected batch: its outputs and its offsets are committed together or
not at all. No transaction is open while the session collects, so a rebalance never meets one.

When something fails, the broker's committed offsets are the only truth:

- the transaction is lost, the clients are well → soft reset: abort, rewind, the same batch again;
- the outcome of a commit is unknown, or a client is broken → hard reset: drop the session, open
  a new one, go on from the committed offsets;
- Kafka refuses, fences us or has lost our offsets → stop with the sentence that says so.
"""

from __future__ import annotations

from typing import Final

from pipeline.core.deadletter import pointer_to
from pipeline.core.process import Processor
from pipeline.core.record import Output, Role
from pipeline.ports import (
    AbortableError,
    Batch,
    Broker,
    Clock,
    DataLossError,
    FencedError,
    Meter,
    RefusedError,
    Session,
    Stop,
    Tally,
    TooLargeError,
    TransportError,
)

_FOR_THE_OPERATOR: Final = (RefusedError, FencedError, DataLossError)
_LONGEST_PAUSE_S: Final = 30.0


class Worker:
    """Runs sessions of a broker until it is asked to stop."""

    def __init__(
        self,
        broker: Broker,
        processor: Processor,
        clock: Clock,
        meter: Meter,
        *,
        max_resets: int,
    ) -> None:
        self._broker = broker
        self._processor = processor
        self._clock = clock
        self._meter = meter
        self._max_resets = max_resets
        self._resets = 0

    def run(self, stop: Stop) -> None:
        """Work until `stop`; the transaction at hand is finished first.

        Raises RefusedError, FencedError or DataLossError at once, and TransportError after
        `max_resets` resets in a row without a commit between them.
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
                self._pause("hard reset", error, stop)
            finally:
                session.close()

    def _run_session(self, session: Session, stop: Stop) -> None:
        while not stop.is_set():
            batch = session.collect()
            if batch.positions:
                try:
                    tally = self._transact(session, batch)
                except AbortableError as error:
                    self._soft_reset(session, batch, error, stop)
                else:
                    self._resets = 0
                    self._meter.committed(tally)
            self._meter.tick(session)

    def _transact(self, session: Session, batch: Batch) -> Tally:
        tally = Tally(records=len(batch.records))
        process, send, now = self._processor.process, session.send, self._clock.now()
        session.begin()
        for record in batch.records:
            try:
                outputs = process(record, now)
            except Exception as error:  # noqa: BLE001  the one catch for bugs of our own
                self._meter.crashed(record, error)
                outputs = (self._processor.crashed(record, now),)
            for output in outputs:
                if output.role is Role.ENRICHED:
                    tally.enriched += 1
                    send(output)
                else:
                    self._send_other(session, output, tally)
        session.commit(batch.positions)
        return tally

    def _send_other(self, session: Session, output: Output, tally: Tally) -> None:
        if output.role is Role.DROPPED:
            tally.dropped[output.reason] += 1
            return
        if output.role is Role.IDENTIFY:
            tally.identify += 1
            session.send(output)
            return
        tally.dead_letters[output.reason] += 1
        try:
            session.send(output)
        except TooLargeError:
            session.send(pointer_to(output))

    def _soft_reset(
        self, session: Session, batch: Batch, error: AbortableError, stop: Stop
    ) -> None:
        session.abort()
        session.rewind(batch)
        self._pause("soft reset", error, stop)

    def _pause(self, how: str, error: TransportError, stop: Stop) -> None:
        """Count a reset and wait before the next try, longer each time."""
        self._resets += 1
        if self._resets > self._max_resets:
            message = f"gave up after {self._max_resets} attempts without a commit: {error}"
            raise TransportError(message) from error
        self._meter.recovering(how, error, self._resets)
        stop.wait(min(_LONGEST_PAUSE_S, 0.1 * 2 ** (self._resets - 1)))
