"""What spans are sent with: OTLP over HTTP, in a thread of the SDK's with a bounded queue.

Guarantees
    Spans never delay the worker: what a collector does not take is dropped. How many, and why, is
    reported at most once per interval, and at the end; the SDK's own log lines are not shown.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from pipeline import __version__
from pipeline.settings.model import Settings
from pipeline.tracing.batch_span import MAX_LINKS, BatchTracer
from pipeline.tracing.losses import (
    Losses,
    OnLost,
    ReportingExporter,
    SpanCounter,
    export_log,
)

SERVICE: Final = "track-pipeline"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
_PATH: Final = "/v1/traces"
_QUEUE: Final = 128
"""Spans that wait for the collector: 12 s of a worker that is not behind. One with all its links
takes 140 kB, and 400 kB if each has a `tracestate` of 500 bytes, so at most 64 MB wait; the SDK's
default of 2048 spans would be 800 MB."""
_REQUEST: Final = 32
"""Spans per request, each of 15 kB: far below what collectors take by default (20 MiB)."""
_FLUSH_S: Final = 3.0
_FLUSH_SHARE: Final = 0.2
"""Time to send the last spans: seconds, and at most this share of the shutdown's grace."""


@contextmanager
def batch_tracing(settings: Settings, on_lost: OnLost) -> Iterator[BatchTracer]:
    """Send spans within the block; at its end wait a moment for the last ones."""
    limits = SpanLimits()
    losses = Losses(settings.stats_interval_s, on_lost, most_waiting=_QUEUE + _REQUEST)
    with export_log(losses):
        exporter = OTLPSpanExporter(f"{settings.tracing.endpoint}".rstrip("/") + _PATH)
        provider = TracerProvider(
            TraceIdRatioBased(settings.tracing.sample_ratio),
            _resource(settings),
            shutdown_on_exit=False,
            span_limits=limits,
        )
        provider.add_span_processor(SpanCounter(losses))
        provider.add_span_processor(
            BatchSpanProcessor(
                ReportingExporter(exporter, losses),
                max_queue_size=_QUEUE,
                max_export_batch_size=_REQUEST,
            )
        )
        try:
            yield BatchTracer(
                provider.get_tracer(SERVICE, __version__, _SCHEMA),
                settings.topics.raw,
                {
                    "messaging.consumer.group.name": settings.group,
                    "track.contract": settings.contract(),
                },
                MAX_LINKS if limits.max_links is None else min(MAX_LINKS, limits.max_links),
            )
        finally:
            losses.ending()
            _shut_down(provider, exporter, settings.shutdown_grace_s)
            losses.end()


def _resource(settings: Settings) -> Resource:
    """Names this worker. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES may say otherwise."""
    ours = Resource(
        {
            "service.name": SERVICE,
            "service.version": __version__,
            # Unique among running workers: two with the same one fence each other.
            "service.instance.id": settings.transactional_id,
        }
    )
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())


def _shut_down(provider: TracerProvider, exporter: SpanExporter, grace_s: float) -> None:
    """Send the last spans, but never longer than the limit: the SDK's own is 30 seconds."""
    thread = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    thread.start()
    thread.join(min(_FLUSH_S, grace_s * _FLUSH_SHARE))
    if thread.is_alive():
        exporter.shutdown()  # ends the wait between two attempts
