"""Lost spans are counted exactly, and reported once per interval with their cause."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from pipeline.tracing.losses import Losses, export_log

_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Reports:
    """Losses with a clock that a test sets, and what they reported."""

    def __init__(self, most_waiting: int = 10) -> None:
        self.now = 0.0
        self.said: list[tuple[int, str]] = []
        self.losses = Losses(
            30.0,
            lambda spans, cause: self.said.append((spans, cause)),
            most_waiting=most_waiting,
            clock=lambda: self.now,
        )


def test_losses_are_reported_once_per_interval() -> None:
    """The first at once; those of the interval together with the next one after it."""
    reports = Reports()
    for reports.now in (0.0, 1.0, 29.9, 30.0, 31.0):
        reports.losses.ended()
        reports.losses.failing("Connection refused")
        reports.losses.lost(1)
    assert reports.said == [(1, "Connection refused"), (3, "Connection refused")]
    reports.losses.end()
    assert reports.said[2:] == [(1, "Connection refused")]
    reports.losses.end()
    assert len(reports.said) == 3


def test_span_beyond_what_the_queue_holds_is_lost() -> None:
    """The SDK drops one silently for each that does not fit."""
    reports = Reports(most_waiting=2)
    for _ in range(3):
        reports.losses.ended()
    assert reports.said == [(1, "the collector is too slow")]


def test_spans_that_still_wait_at_the_end_are_lost() -> None:
    """What was delivered is not."""
    reports = Reports()
    for _ in range(5):
        reports.losses.ended()
    reports.losses.delivered(2)
    reports.losses.end()
    assert reports.said == [(3, "the collector is too slow")]


@contextmanager
def _shown() -> Iterator[list[logging.LogRecord]]:
    """Lines that reach the root logger, where the program shows them."""
    lines: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        """Keeps its lines."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep a line."""
            lines.append(record)

    handler = Keeping()
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)


def _wrapped() -> Exception:
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError("HTTPConnectionPool(host=…)") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (("Transient error %s, retrying in %.2fs.", _wrapped(), 1.0), "Connection refused"),
        (
            ("Failed: code: %s, reason: %s", 404, "Not Found"),
            "Failed: code: 404, reason: Not Found",
        ),
        (("Failed to export %s due to timeout.", "spans"), "the collector is too slow"),
    ],
)
def test_cause_is_read_from_the_log_of_the_exporter(line: tuple[object, ...], cause: str) -> None:
    """Lines of the exporter itself are not shown."""
    reports = Reports()
    with _shown() as lines, export_log(reports.losses):
        logging.getLogger(_LOG).warning(*line)
        logging.getLogger("opentelemetry.trace.span").warning("a header that anyone wrote")
    reports.losses.lost(1)
    assert reports.said == [(1, cause)]
    assert lines == []


def test_report_has_what_is_bound_to_each_log_line() -> None:
    """The number of the worker, though the SDK's thread reports."""
    bound: list[object] = []

    def note(_spans: int, _cause: str) -> None:
        bound.append(structlog.contextvars.get_contextvars()["worker"])

    with structlog.contextvars.bound_contextvars(worker=3):
        losses = Losses(30.0, note, most_waiting=10)
    losses.lost(1)
    assert bound == [3]
