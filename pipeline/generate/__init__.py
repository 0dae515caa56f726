"""Realistic raw track events from a seed: the same seed gives the same bytes everywhere.

dice.py draws; people.py, products.py, pages.py and events.py know who does what; senders.py gives
it the shape of an SDK; faults.py breaks it; stream.py, the file to read first, puts it together.
"""

from pipeline.generate.stream import START, STRICT_SETTINGS, Generated, Generator

__all__ = ["START", "STRICT_SETTINGS", "Generated", "Generator"]
