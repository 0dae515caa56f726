"""A broker and its sessions whose transactions have spans; see `ports.Broker`.

Guarantees
    The outcome of every record is the same with and without traces. What is not sent because of a
    header of ours is sent without it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output, Record, new_tuple
from pipeline.errors import TooLargeError, TransportError
from pipeline.ports import Batch, Broker, Lag, Positions, Session
from pipeline.tracing.batch_span import BatchSpan, BatchTracer


class TracedBroker:
    """Opens traced sessions of another broker."""

    def __init__(self, broker: Broker, tracer: BatchTracer) -> None:
        self._broker = broker
        self._tracer = tracer

    def open(self) -> TracedSession:
        """See `ports.Broker`."""
        return TracedSession(self._broker.open(), self._tracer)


class TracedSession:
    """A session that begins a span with each transaction; see `ports.Session`."""

    def __init__(self, session: Session, tracer: BatchTracer) -> None:
        self._session = session
        self._tracer = tracer
        self._send = session.send
        self._span: BatchSpan | None = None
        self._header: tuple[str, bytes] | None = None
        self._error: Exception | None = None
        """Why the open transaction can't be committed."""
        self._left: Sequence[Record] = ()
        """Records that were collected and are not committed yet. Transactions take them in order,
        and usually all at once."""
        self._taken: int | None = None
        """How many of them the open transaction covers; None while that is not known."""
        self._positions: Positions = {}
        self._adds_header = True

    def collect(self) -> Batch:
        """See `ports.Session`."""
        batch = self._session.collect()
        self._left = batch.records
        self._adds_header = True
        return batch

    def begin(self) -> None:
        """See `ports.Session`."""
        self._session.begin()
        if self._left:
            self._span = self._tracer.start()
            self._header = self._span.header if self._adds_header else None
            self._error, self._taken, self._positions = None, None, {}

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        try:
            if self._header is None:
                self._send(output)
            else:
                self._send_with(self._header, output)
        except TransportError as error:
            self._error = error
            raise

    def _send_with(self, header: tuple[str, bytes], output: Output) -> None:
        role, value, key, headers, *rest = output
        fields = (role, value, key, [*headers, header], *rest)
        try:
            self._send(new_tuple(Output, fields))
        except TooLargeError:
            self._send(output)

    def commit(self, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts) -> None:
        """See `ports.Session`."""
        span = self._span
        if span is None:
            self._session.commit(positions, note, counts)
            return
        self._taken, self._positions = counts.records, positions
        span.commits()
        try:
            self._session.commit(positions, note, counts)
        except TransportError as error:
            self._error = error
            raise
        self._span = self._header = None
        span.committed(self._left[: counts.records], positions, counts)
        self._left = self._left[counts.records :]

    def abort(self) -> None:
        """See `ports.Session`."""
        self._end_failed()
        # The broker may have rejected an output for its size, to which the header has contributed:
        # the records of this batch are tried again without it.
        self._adds_header = False
        self._session.abort()

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`."""
        self._session.rewind(batch)

    def pause(self, seconds: float) -> None:
        """See `ports.Session`."""
        self._session.pause(seconds)

    def lag(self) -> Lag | None:
        """See `ports.Session`."""
        return self._session.lag()

    def assigned(self) -> Collection[int]:
        """See `ports.Session`."""
        return self._session.assigned()

    def close(self) -> None:
        """See `ports.Session`."""
        self._end_failed()
        del self._send  # a session's method may refer to its client, which lives as long as that
        self._session.close()

    def _end_failed(self) -> None:
        """End the span of a transaction that is not committed."""
        span, self._span, self._header = self._span, None, None
        if span is not None:
            span.failed(self._left[: self._taken], self._positions, self._error)
