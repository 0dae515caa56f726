"""A collector of traces on the loopback interface: takes OTLP over HTTP and keeps the spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, str | int]


class ReceivedSpan(NamedTuple):
    """A span, with the attributes of the process that sent it."""

    resource: Attributes
    span: Span

    @property
    def attributes(self) -> Attributes:
        """Attributes of the span itself."""
        return _plain(self.span.attributes)

    @property
    def trace_parent(self) -> bytes:
        """The form in which headers name the span; all are sampled."""
        return b"%s-%s" % (self.span.trace_id.hex().encode(), self.span.span_id.hex().encode())


def _plain(attributes: object) -> Attributes:
    found: Attributes = {}
    for each in attributes:  # type: ignore[attr-defined]
        assert isinstance(each, KeyValue)
        kind = each.value.WhichOneof("value")
        found[each.key] = each.value.int_value if kind == "int_value" else each.value.string_value
    return found


class Collector:
    """Spans that were received, and where to send them."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.paths: set[str] = set()
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            """Takes one request."""

            def do_POST(self) -> None:
                """Keep the spans of the request."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.add(self.path)
                collector.receive(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def receive(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of a request."""
        for process in request.resource_spans:
            resource = _plain(process.resource.attributes)
            for scope in process.scope_spans:
                self.spans += [ReceivedSpan(resource, span) for span in scope.spans]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector within the block."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()
