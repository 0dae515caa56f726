"""Finds records by their timestamp: not every offset has one, and markers have their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pipeline.core.record import Record
from pipeline.kafka.admin import Admin
from pipeline.ports import Reader

_NEAR: Final = 50
"""Number of offsets read first: usually the wanted record is the first of them."""


def first_records_at(
    cluster: Admin, reader: Reader, topic: str, time_ms: int, ends: Mapping[int, int]
) -> dict[int, int]:
    """Return each partition's first record with this time (epoch milliseconds) or a later one.

    Only offsets before `ends` are searched; a partition without such a record gets its end. The
    answer of `Admin.offsets_at` alone may be a transaction marker, whose time is the wall clock's,
    or an aborted record. That is good enough as a start, since everything before it is older. As an
    end it would cut off the records behind it. Raises TransportError and DataLossError.
    """
    announced = cluster.offsets_at(topic, time_ms)
    ranges = {number: (announced.get(number, end), end) for number, end in ends.items()}
    found = first_records(reader, topic, ranges, lambda record: (record.timestamp or 0) >= time_ms)
    return {**ends, **found}


def first_records(
    reader: Reader,
    topic: str,
    ranges: Mapping[int, tuple[int, int]],
    fits: Callable[[Record], bool] = lambda _: True,
) -> dict[int, int]:
    """Return the offset of the first record in each range that fits; nothing where none does.

    Ranges without one are read to their end. Raises TransportError and DataLossError.
    """
    found: dict[int, int] = {}

    def look(parts: Mapping[int, tuple[int, int]]) -> None:
        places = {(topic, number): part for number, part in parts.items() if part[0] < part[1]}
        for record in reader.read(places):
            if fits(record):
                found.setdefault(record.partition, record.offset)
                if all(number in found for _, number in places):
                    break

    look({number: (first, min(end, first + _NEAR)) for number, (first, end) in ranges.items()})
    for number, (first, end) in ranges.items():
        if number not in found:
            # One partition at a time. Together, partitions that have such a record would be read on
            # while another one is read to its end.
            look({number: (first + _NEAR, end)})
    return found
