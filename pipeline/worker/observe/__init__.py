"""Logs for people and machines: one start line, one statistics line per interval, no payloads.

JSON where nobody looks, sentences on a terminal. Never a line per event: what an event was
refused for is in its dead letter's headers.
"""

from pipeline.worker.observe.aggregate import FleetStatistics, SlotMeter
from pipeline.worker.observe.logs import LogFormat, configure_logging, is_for_people
from pipeline.worker.observe.meter import LogMeter
from pipeline.worker.observe.reporter import reporting

__all__ = [
    "FleetStatistics",
    "LogFormat",
    "LogMeter",
    "SlotMeter",
    "configure_logging",
    "is_for_people",
    "reporting",
]
