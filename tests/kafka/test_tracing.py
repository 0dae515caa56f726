"""Workers on a real broker send their spans to a collector, and never wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pipeline.core.headers import TrackHeader
from pipeline.demo.local_kafka.ports import free_port
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, produce, read_topic
from tests.collector import Collector, collecting
from tests.fake_topics import event
from tests.kafka.worker_process import Pipeline, terminate

pytestmark = pytest.mark.kafka
RECORDS: Final = 300
PARENT: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running collector."""
    with collecting() as running:
        yield running


def _records() -> list[Sent]:
    """Return good and bad events and batch calls, two thirds of them with a context."""
    batch = b'{"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}'
    values = [event(1), b"{", batch, None]
    return [
        Sent(
            values[n % 4],
            b"u%d" % (n % 7),
            [("traceparent", PARENT % (n + 1)), ("a", b"b")] if n % 3 else [("a", b"b")],
            RECENT + n,
            n % 3,
        )
        for n in range(RECORDS)
    ]


def test_traced_workers_send_a_span_per_transaction_and_pass_the_audit(
    pipeline: Pipeline, collector: Collector
) -> None:
    """Two processes; the spans cover each record once, and the outputs name them."""
    produce(pipeline.servers, pipeline.names.raw, _records())
    worker = pipeline.start(
        "w",
        "--workers",
        "2",
        tracing__endpoint=collector.endpoint + "/",
        batch__max_records="20",
    )
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert "spans_lost" not in pipeline.text("w")
    assert collector.paths == {"/v1/traces"}
    spans = [each for each in collector.spans if each.span.status.code == Status.STATUS_CODE_UNSET]
    assert all(each.span.kind == Span.SPAN_KIND_CONSUMER for each in spans)
    assert {each.span.name for each in spans} == {f"process {pipeline.names.raw}"}
    assert sum(int(each.attributes["messaging.batch.message_count"]) for each in spans) == RECORDS
    linked = {int.from_bytes(link.span_id) for each in spans for link in each.span.links}
    assert linked == {n + 1 for n in range(RECORDS) if n % 3}
    instances = {str(each.resource["service.instance.id"]) for each in spans}
    assert {name.rsplit(".", 1)[1] for name in instances} <= {"w-0", "w-1"}
    assert {each.resource["service.name"] for each in spans} == {"track-pipeline"}
    _assert_outputs_name(pipeline, {each.trace_parent for each in spans})
    audit = pipeline.run("audit")
    assert (audit.code, "It adds up" in audit.out.decode()) == (ExitCode.OK, True), audit.out


def _assert_outputs_name(pipeline: Pipeline, spans: set[bytes]) -> None:
    outputs = [
        stored
        for topic in (pipeline.names.enriched, pipeline.names.dead_letter)
        for stored in read_topic(pipeline.servers, topic)
    ]
    named = [dict(stored.headers)[TrackHeader.TRACE_PARENT] or b"" for stored in outputs]
    assert {each[3:-3] for each in named} == spans
    senders = {
        value for stored in outputs for name, value in stored.headers if name == "traceparent"
    }
    assert senders == {PARENT % (n + 1) for n in range(RECORDS) if n % 3}


def test_unreachable_collector_costs_no_event_and_no_exit_code(pipeline: Pipeline) -> None:
    """One line per interval with the cause, none of the SDK's; it stops as always."""
    produce(pipeline.servers, pipeline.names.raw, _records())
    worker = pipeline.start(tracing__endpoint=f"http://127.0.0.1:{free_port()}")
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()
    (line,) = pipeline.lines("spans_lost")
    assert line["cause"] == "Connection refused"
    log = pipeline.text()
    assert "Traceback" not in log
    assert "Transient" not in log
