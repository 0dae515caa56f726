"""Realistic raw track events from a seed: the same seed gives the same bytes everywhere.

dice.py draws; people.py, products.py, properties.py and events.py know who does what; senders.py
gives it the shape of an SDK; faults.py breaks it; stream.py, the file to read first, puts it
together.
"""

from pipeline.demo.generate.events import EVENT_NAMES
from pipeline.demo.generate.faults import NOT_IN_LINES, STRICT_SETTINGS
from pipeline.demo.generate.stream import DEFAULT_INTERVAL_MS, START, Generated, Generator

__all__ = [
    "DEFAULT_INTERVAL_MS",
    "EVENT_NAMES",
    "NOT_IN_LINES",
    "START",
    "STRICT_SETTINGS",
    "Generated",
    "Generator",
]
