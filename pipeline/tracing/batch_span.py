"""The span of one transaction, by OpenTelemetry's semantic conventions for messaging.

A batch has records of many traces, so its span begins a trace of its own, and links to the context
of each record. The conventions are version 1.44's; they are not stable yet.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
)

from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import TrackHeader
from pipeline.core.record import Record
from pipeline.ports import Positions
from pipeline.tracing.trace_context import RecordContext, record_contexts

OPERATION: Final = "process"
MAX_LINKS: Final = 128
"""Limit of links by the OpenTelemetry specification; the SDK would drop the first ones beyond it
silently."""
_NO_PARENT: Final = Context()
"""Without it a span that is current in this thread would become the parent."""

AttributeValue = str | int
Attributes = Mapping[str, AttributeValue]


class BatchSpan:
    """An open span. Exactly one of `committed` and `failed` ends it."""

    def __init__(self, span: Span, max_links: int) -> None:
        self._span = span
        self._max_links = max_links
        context = span.get_span_context()
        self.header: tuple[str, bytes] | None = None
        """Header for the batch's outputs; None when the span is not sampled."""
        if context.trace_flags.sampled:
            self.header = TrackHeader.TRACE_PARENT.value, _trace_parent(context)

    def commits(self) -> None:
        """Note that everything was processed, and the commit begins."""
        self._span.add_event("commit")

    def committed(
        self, records: Sequence[Record], positions: Positions, counts: OutcomeCounts
    ) -> None:
        """End the span of a committed transaction."""
        now = time.time_ns()
        if self._span.is_recording():
            self._describe(records, positions)
            self._span.set_attribute("track.events.enriched", counts.enriched)
            self._span.set_attribute("track.events.dead_letter", counts.rejected)
            self._span.set_attribute("track.events.forwarded", counts.forwarded)
        self._span.end(now)

    def failed(
        self, records: Sequence[Record], positions: Positions, error: Exception | None
    ) -> None:
        """End the span of a transaction that was aborted, or whose outcome is not known here."""
        now = time.time_ns()
        if self._span.is_recording():
            self._describe(records, positions)
            kind = "_OTHER" if error is None else type(error).__qualname__
            cause = "the session ended within the transaction" if error is None else str(error)
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR, cause))
        self._span.end(now)

    def _describe(self, records: Sequence[Record], positions: Positions) -> None:
        """Add what is known only when the transaction has ended; its time is not the batch's."""
        contexts = record_contexts(records, self._max_links)
        for each in contexts.chosen:
            self._span.add_link(_span_context(each), _link_attributes(each))
        self._span.set_attribute("messaging.batch.message_count", len(records))
        self._span.set_attribute("track.links.omitted", contexts.omitted)
        if len(positions) == 1:
            ((_topic, partition),) = positions
            self._span.set_attribute("messaging.destination.partition.id", str(partition))


class BatchTracer:
    """Begins spans of transactions."""

    def __init__(
        self,
        tracer: Tracer,
        topic: str,
        attributes: Attributes,
        max_links: int = MAX_LINKS,
    ) -> None:
        self._tracer = tracer
        self._name = f"{OPERATION} {topic}"
        self._attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": OPERATION,
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            **attributes,
        }
        self._max_links = max_links

    def start(self) -> BatchSpan:
        """Begin the span of a transaction."""
        span = self._tracer.start_span(
            self._name, _NO_PARENT, kind=SpanKind.CONSUMER, attributes=self._attributes
        )
        return BatchSpan(span, self._max_links)


def _trace_parent(context: SpanContext) -> bytes:
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags:02x}".encode()


def _span_context(context: RecordContext) -> SpanContext:
    return SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=True,
        trace_flags=TraceFlags(context.flags),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


def _link_attributes(context: RecordContext) -> dict[str, AttributeValue]:
    return {
        "messaging.destination.partition.id": str(context.partition),
        "messaging.kafka.offset": context.offset,
    }
