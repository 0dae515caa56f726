"""Logs for people and machines: one start line, one statistics line per interval, no payloads.

JSON where nobody looks, readable on a terminal. Never a line per event: what an event was
refused for is in its dead letter's headers.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Final, Literal

import structlog

from pipeline.core.record import Record
from pipeline.ports import Session, Tally

LogFormat = Literal["auto", "json", "console"]
_CRASHES_SHOWN: Final = 10
"""Tracebacks of our own bugs per interval; the count is always complete."""


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send structlog's and the standard library's log lines to standard error."""
    on_terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any
    if log_format == "json" or (log_format == "auto" and not on_terminal):
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=on_terminal)
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # librdkafka's own lines are for debugging: what matters of them is in our sentences.
    logging.getLogger("pipeline.librdkafka").setLevel(
        logging.DEBUG if level.lower() == "debug" else logging.CRITICAL
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class LogMeter:
    """Counts what the worker does and logs one line per interval; see `ports.Meter`."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.stdlib.get_logger("pipeline.worker")
        self._interval_s = interval_s
        self._clock = clock
        self._since = clock()
        self._cpu = time.process_time()
        self._tally = Tally()
        self._total = Tally()
        self._crashes = 0
        self._resets = 0

    def committed(self, tally: Tally) -> None:
        """See `ports.Meter`."""
        self._tally.add(tally)

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        if self._clock() - self._since >= self._interval_s:
            self.statistics(session.lag())

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        self._resets += 1
        self._log.warning("recovering", how=how, cause=str(error), attempt=attempt)

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`. The frames are logged, the message is not: it may quote the event."""
        self._crashes += 1
        if self._crashes <= _CRASHES_SHOWN:
            frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
            self._log.error(
                "processing_error",
                source=f"{record.topic}/{record.partition}/{record.offset}",
                error=type(error).__name__,
                frames="".join(frames),
            )

    def statistics(self, lag: int | None) -> None:
        """Log the interval's line and begin the next interval."""
        now, cpu, tally = self._clock(), time.process_time(), self._tally
        self._total.add(tally)
        events = tally.enriched + tally.dead_letters.total() + tally.dropped.total()
        self._log.info(
            "statistics",
            seconds=round(now - self._since, 1),
            consumed=tally.records,
            enriched=tally.enriched,
            identify=tally.identify,
            dead_lettered=dict(tally.dead_letters.most_common()),
            dropped=dict(tally.dropped.most_common()),
            lag=lag,
            cpu_us_per_event=round((cpu - self._cpu) * 1e6 / events, 1) if events else None,
            resets=self._resets,
            total_consumed=self._total.records,
        )
        self._since, self._cpu, self._tally = now, cpu, Tally()
        self._crashes = self._resets = 0
