"""Spans of a worker's transactions on the in-memory broker, and what its outputs carry."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from pipeline.core.headers import TrackHeader
from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Role
from pipeline.errors import (
    AbortableError,
    OutcomeUnknownError,
    RecordRefusedError,
    TooLargeError,
)
from pipeline.reconcile.outputs import output_digest
from pipeline.tracing.batch_span import BatchTracer
from pipeline.tracing.session import TracedBroker
from pipeline.worker.memory_broker import MemoryBroker, MemorySession
from tests.hostile import EVENT, HOSTILE
from tests.system.docs.snippets import blocks
from tests.unit.worker.harness import Remembering, work

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01"


class Traced:
    """An in-memory broker whose transactions are traced, and the spans that have ended."""

    def __init__(
        self,
        broker: MemoryBroker | None = None,
        sampler: Sampler = ALWAYS_ON,
        max_links: int = 128,
    ) -> None:
        self.broker = broker or MemoryBroker()
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        attributes = {"messaging.consumer.group.name": "g"}
        tracer = BatchTracer(provider.get_tracer("test"), "track.raw", attributes, max_links)
        self._traced = TracedBroker(self.broker, tracer)

    def fill(self, count: int) -> None:
        """Append events, each with a context of its own."""
        for number in range(count):
            headers = [("traceparent", PARENT % (1 + number)), ("tracestate", b"vendor=x")]
            self.broker.append(EVENT, b"u", headers, 1_700_000_000_000)

    def work(self, records: int) -> Remembering:
        """Run a worker until so many records are committed."""
        return work(self._traced, records)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Spans that have ended, in order."""
        return self._exporter.get_finished_spans()


def _links(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def _counts(span: ReadableSpan) -> tuple[object, object]:
    attributes = span.attributes or {}
    return attributes["messaging.batch.message_count"], attributes["track.links.omitted"]


def _header_of(output: Output) -> bytes | None:
    found = [sent for name, sent in output.headers if name == TrackHeader.TRACE_PARENT]
    assert len(found) <= 1
    return found[0] if found else None


def test_each_transaction_has_one_span() -> None:
    """Named and described by the conventions, a trace of its own, linked to its records' traces."""
    traced = Traced(MemoryBroker(batch=2))
    traced.fill(3)
    traced.work(3)
    first, second = traced.spans
    assert (first.name, first.kind, first.parent) == (
        "process track.raw",
        SpanKind.CONSUMER,
        None,
    )
    assert first.status.status_code is StatusCode.UNSET
    assert dict(first.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "track.raw",
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": "g",
        "messaging.batch.message_count": 2,
        "track.events.enriched": 2,
        "track.events.dead_letter": 0,
        "track.events.forwarded": 0,
        "track.links.omitted": 0,
    }
    assert [event.name for event in first.events] == ["commit"]
    assert [_links(span) for span in traced.spans] == [[1, 2], [3]]
    link = second.links[0]
    assert (link.context.is_remote, link.context.trace_state.to_header()) == (True, "vendor=x")
    assert dict(link.attributes or {}) == {
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 2,
    }


def test_outputs_carry_the_span_beside_the_context_of_their_sender() -> None:
    """The sender's headers stay byte for byte; ours comes last, and names the batch's span."""
    traced = Traced()
    traced.fill(1)
    traced.broker.append(b"{", headers=[("traceparent", b"no context")])
    traced.work(2)
    (span,) = traced.spans
    assert span.context is not None
    trace_id, span_id = format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)
    enriched, rejected = traced.broker.outputs
    assert rejected.role is Role.DEAD_LETTER
    for output in (enriched, rejected):
        assert output.headers[-1] == (
            TrackHeader.TRACE_PARENT.value,
            f"00-{trace_id}-{span_id}-{span.context.trace_flags:02x}".encode(),
        )
    assert list(enriched.headers[:2]) == [
        ("traceparent", PARENT % 1),
        ("tracestate", b"vendor=x"),
    ]
    assert rejected.headers[0] == ("traceparent", b"no context")


def test_audit_sees_no_difference_between_traced_outputs_and_others() -> None:
    """The header says who wrote an output, as `dlq.app` does; it is not compared."""
    plain, traced = MemoryBroker(), Traced()
    for broker in (plain, traced.broker):
        for each in HOSTILE:
            broker.append(each.value, b"u", each.headers, 1_700_000_000_000)
    work(plain, len(HOSTILE))
    traced.work(len(HOSTILE))
    assert all(_header_of(output) for output in traced.broker.outputs)
    digests = [
        [output_digest(each.role, each.value, each.key, each.headers) for each in broker.outputs]
        for broker in (plain, traced.broker)
    ]
    assert digests[0] == digests[1]


def test_batch_that_is_not_sampled_leaves_no_trace() -> None:
    """No span is sent, and no output carries a header that leads nowhere."""
    traced = Traced(sampler=ALWAYS_OFF)
    traced.fill(2)
    traced.work(2)
    assert not traced.spans
    assert [_header_of(output) for output in traced.broker.outputs] == [None, None]


def test_aborted_transaction_has_a_span_with_its_cause() -> None:
    """Status, sentence and class of the error; the next attempt has a span of its own."""
    traced = Traced()
    traced.fill(2)
    traced.broker.fail("commit", AbortableError("the coordinator is away"))
    traced.work(2)
    failed, done = traced.spans
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == "the coordinator is away"
    assert (failed.attributes or {})["error.type"] == "AbortableError"
    assert done.status.status_code is StatusCode.UNSET
    assert [_links(span) for span in (failed, done)] == [[1, 2], [1, 2]]


def test_span_ends_when_the_outcome_of_a_commit_is_unknown() -> None:
    """A hard reset closes the session without an abort."""
    traced = Traced()
    traced.fill(1)
    traced.broker.fail("commit", OutcomeUnknownError("no answer"), takes_effect=True)
    traced.broker.append(EVENT)
    traced.broker.batch = 1
    traced.work(1)
    first, second = traced.spans
    assert first.status.description == "no answer"
    assert second.status.status_code is StatusCode.UNSET


def test_bisected_batch_has_a_span_for_each_transaction() -> None:
    """Each links to its own records; after an abort outputs are sent without the header.

    The header may be what has made an output too large for its topic.
    """
    traced = Traced()
    traced.fill(4)
    text = "topic track.enriched does not accept an output that large"
    traced.broker.fail("commit", RecordRefusedError(text, Reason.ENRICHED_TOO_LARGE, Role.ENRICHED))
    meter = traced.work(4)
    assert meter.total.enriched == 4
    assert [_links(span) for span in traced.spans] == [[1, 2, 3, 4], [1, 2], [3, 4]]
    assert [_header_of(output) for output in traced.broker.outputs] == [None] * 4


def test_failed_send_names_all_records_that_are_left() -> None:
    """How many of them the transaction would have covered is not known at this point."""
    traced = Traced()
    traced.fill(3)
    traced.broker.spare("send")
    traced.broker.fail("send", AbortableError("the queue is gone"))
    traced.work(3)
    assert [_counts(span) for span in traced.spans] == [(3, 0), (3, 0)]
    assert traced.spans[0].status.description == "the queue is gone"


class _NarrowSession(MemorySession):
    """Takes no output with our header."""

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        if _header_of(output) is not None:
            raise TooLargeError
        super().send(output)


class _NarrowBroker(MemoryBroker):
    """Its topics have no room for our header."""

    def open(self) -> MemorySession:
        """See `ports.Broker`."""
        super().open()
        return _NarrowSession(self, self.epoch)


def test_output_that_is_too_large_with_the_header_is_sent_without() -> None:
    """A dead letter is not cut down to a stub because of a trace."""
    traced = Traced(_NarrowBroker())
    traced.broker.append(b"{")
    traced.work(1)
    (output,) = traced.broker.outputs
    assert (output.value, _header_of(output)) == (b"{", None)
    assert traced.spans[0].status.status_code is StatusCode.UNSET


def test_links_are_bounded_and_the_rest_is_counted() -> None:
    """A span never has more links than the SDK keeps; it would drop some silently."""
    traced = Traced(max_links=3)
    traced.fill(5)
    traced.work(5)
    (span,) = traced.spans
    assert (_links(span), span.dropped_links, _counts(span)) == ([1, 2, 3], 0, (5, 2))


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", None)],
        [("traceparent", b"\xff" * 70_000)],
        [("traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")],
        [("traceparent", PARENT % 1), ("tracestate", b"=,=;\x00")],
        [("traceparent", PARENT % 1), ("tracestate", b"a=1,a=2")],
        [("track.traceparent", PARENT % 1)],
        [("traceparent", PARENT % 1)] * 50,
    ],
)
def test_hostile_context_changes_nothing(headers: list[tuple[str, bytes | None]]) -> None:
    """Outputs and positions are those of a worker without traces."""
    traced, plain = Traced(), MemoryBroker()
    for broker in (traced.broker, plain):
        broker.append(EVENT, b"u", headers, 1_700_000_000_000)
    traced.work(1)
    work(plain, 1)
    (output,) = traced.broker.outputs
    assert output._replace(headers=output.headers[:-1]) == plain.outputs[0]
    assert traced.broker.committed == plain.committed
    assert len(traced.spans) == 1


def test_empty_transaction_has_no_span() -> None:
    """Only a position behind transaction markers is committed: nothing was processed."""
    traced = Traced()
    traced.fill(1)
    traced.work(1)
    traced.broker.append_marker()
    traced.fill(1)
    traced.broker.batch = 1
    traced.work(1)
    assert [_counts(span) for span in traced.spans] == [(1, 0), (1, 0)]


def test_consumer_links_to_the_worker_as_documented() -> None:
    """The example in the documents finds the span that wrote an output."""
    traced = Traced()
    traced.fill(1)
    traced.work(1)
    context = traced.spans[0].context
    assert context is not None
    (block,) = blocks("docs/how-to/trace.md", "python")
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102  what the documents show
    (link,) = names["worker_link"](traced.broker.outputs[0].headers)
    assert (link.context.trace_id, link.context.span_id) == (context.trace_id, context.span_id)
    assert names["worker_link"]([("traceparent", PARENT % 1)]) == []
