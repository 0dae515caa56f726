"""Logs for people and machines: one start line, one statistics line per interval, no payloads.

Lines are JSON, or sentences on a terminal. There is never a line per event: why an event was
rejected is in the headers of its dead letter.
"""

from pipeline.worker.observe.aggregate import AggregateStatistics, SlotMeter
from pipeline.worker.observe.logs import (
    LogFormat,
    configure_logging,
    get_logger,
    is_for_people,
)
from pipeline.worker.observe.meter import LogMeter
from pipeline.worker.observe.reporter import reporting

__all__ = [
    "AggregateStatistics",
    "LogFormat",
    "LogMeter",
    "SlotMeter",
    "configure_logging",
    "get_logger",
    "is_for_people",
    "reporting",
]
