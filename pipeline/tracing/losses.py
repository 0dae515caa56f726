"""Spans that were lost: how many, and why. Reported at most once per interval.

The SDK says why only in its log, in lines of its own, and how many not at all.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

OnLost = Callable[[int, str], None]
"""Called with the number of spans that were lost since the last call, and the cause."""
_LONGEST_CAUSE: Final = 200
_SLOW: Final = "the collector is too slow"


class Losses:
    """Counts spans from the moment they end; safe to use from several threads."""

    def __init__(
        self,
        interval_s: float,
        on_lost: OnLost,
        *,
        most_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = interval_s
        self._on_lost = on_lost
        self._context = contextvars.copy_context()
        """Holds what is bound to each log line, such as the worker's number."""
        self._most_waiting = most_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        """Spans that have ended and are neither delivered nor lost."""
        self._lost = 0
        """Lost spans that have not been reported."""
        self._cause = ""
        self._next_report = clock()
        self._is_ending = False
        """Whether the next report is the last one, by `end`."""

    def ended(self) -> None:
        """Count a span that waits to be sent. Beyond what the queue holds, one is dropped."""
        with self._lock:
            self._waiting += 1
            is_full = self._waiting > self._most_waiting
        if is_full:
            self.lost(1)

    def delivered(self, spans: int) -> None:
        """Count spans that the collector has taken."""
        with self._lock:
            self._waiting -= spans
            self._cause = ""

    def failing(self, cause: str) -> None:
        """Remember why spans can't be sent."""
        with self._lock:
            self._cause = cause[:_LONGEST_CAUSE]

    def lost(self, spans: int) -> None:
        """Count spans that will not be sent."""
        now = self._clock()
        with self._lock:
            self._waiting -= spans
            self._lost += spans
            is_due = now >= self._next_report and not self._is_ending
            if is_due:
                self._next_report = now + self._interval_s
        if is_due:
            self._report()

    def ending(self) -> None:
        """Report nothing more until `end`."""
        with self._lock:
            self._is_ending = True

    def end(self) -> None:
        """Report the rest: what still waits is lost. The SDK's thread may live on."""
        self.ending()
        with self._lock:
            self._lost, self._waiting = self._lost + self._waiting, 0
        self._report()

    def _report(self) -> None:
        with self._lock:
            lost, cause, self._lost = self._lost, self._cause or _SLOW, 0
        if lost > 0:
            self._context.copy().run(self._on_lost, lost, cause)


class SpanCounter(SpanProcessor):
    """Counts sampled spans when they end."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._losses.ended()


class ReportingExporter(SpanExporter):
    """Passes spans on to an exporter, and counts those that it does not deliver."""

    def __init__(self, exporter: SpanExporter, losses: Losses) -> None:
        self._exporter = exporter
        self._losses = losses

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; called in the SDK's thread."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._losses.delivered(len(spans))
        else:
            self._losses.lost(len(spans))
        return result

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()


class _CauseReader(logging.Handler):
    """Reads the exporter's log lines."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the cause that a line names; the line after the last attempt names none."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        errors = [each for each in arguments if isinstance(each, BaseException)]
        if errors:
            self._losses.failing(_innermost(errors[0]))
        elif len(arguments) > 1:
            self._losses.failing(record.getMessage())


def _innermost(error: BaseException) -> str:
    """Return what the operating system said: HTTP libraries wrap it several times."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def export_log(losses: Losses) -> Iterator[None]:
    """Read the exporter's log lines within the block; none of the SDK's is shown, also after it.

    They contain contents of headers, which anyone writes, and its thread may live on.
    """
    root = logging.getLogger("opentelemetry")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    root.propagate = False
    exporter, reader = logging.getLogger("opentelemetry.exporter"), _CauseReader(losses)
    exporter.addHandler(reader)
    try:
        yield
    finally:
        exporter.removeHandler(reader)
