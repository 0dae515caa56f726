"""Where a topic's records are: not every offset has one, and a marker has a time of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pipeline.core.record import Record
from pipeline.kafka.admin import Admin
from pipeline.ports import Reader

_NEAR: Final = 50
"""Offsets: as a rule the record is the first of them."""


def first_records_at(
    cluster: Admin, reader: Reader, topic: str, time_ms: int, ends: Mapping[int, int]
) -> dict[int, int]:
    """Partition → offset of the first record with this time (epoch milliseconds) or a later one.

    Only what is before `ends` (partition → offset) is looked at; of a partition without such a
    record it is its end. What `Admin.offsets_at` answers may be a transaction's marker, whose time
    is that of the wall clock, or an aborted record: good enough to begin at, since all before it is
    older, but as an end it would cut off the records behind it. TransportError, DataLossError.
    """
    told = cluster.offsets_at(topic, time_ms)
    ranges = {number: (told.get(number, end), end) for number, end in ends.items()}
    found = first_records(reader, topic, ranges, lambda record: (record.timestamp or 0) >= time_ms)
    return {**ends, **found}


def first_records(
    reader: Reader,
    topic: str,
    ranges: Mapping[int, tuple[int, int]],
    fits: Callable[[Record], bool] = lambda _: True,
) -> dict[int, int]:
    """Partition → offset of the first record of its range that fits; none where there is no such.

    Where there is none the range is read to its end. TransportError, DataLossError.
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
            # One by one: all records of a partition that has one would be read, while another one
            # that has none is read to its end.
            look({number: (first + _NEAR, end)})
    return found
