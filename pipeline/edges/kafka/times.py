"""Where a time is in a topic, by its records and not by what the broker answers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.edges.kafka.admin import Admin
from pipeline.edges.kafka.ranges import RangeReader

_NEAR: Final = 50
"""Offsets: as a rule the record is the first of them."""


def first_records_at(
    cluster: Admin, reader: RangeReader, topic: str, time_ms: int, ends: Mapping[int, int]
) -> dict[int, int]:
    """Partition → offset of the first record with this time (epoch milliseconds) or a later one.

    Only what is before `ends` (partition → offset) is looked at; of a partition without such a
    record it is its end. What `Admin.offsets_at` answers may be a transaction's marker, whose time
    is that of the wall clock, or an aborted record: good enough to begin at, since all before it is
    older, but as an end it would cut off the records behind it. TransportError, DataLossError.
    """
    told = cluster.offsets_at(topic, time_ms)
    found: dict[int, int] = {}
    for size in (_NEAR, None):
        ranges = {
            (topic, number): (told[number], end if size is None else min(end, told[number] + size))
            for number, end in ends.items()
            if number not in found and told.get(number, end) < end
        }
        for record in reader.read(ranges):
            if (record.timestamp or 0) >= time_ms:
                found.setdefault(record.partition, record.offset)
                if all(number in found for _, number in ranges):
                    break
    return {**ends, **found}
