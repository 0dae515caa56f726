"""The first record of each partition, found without reading what is of no use."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.record import Record
from pipeline.kafka.offsets_by_time import first_records
from pipeline.ports import Ranges

TOPIC = "track.raw"
LONG = 10_000


class HalfEmpty:
    """A reader of a topic whose even partitions have a record at each offset, the others none."""

    def __init__(self) -> None:
        self.read_records = 0

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """See `ports.Reader`."""
        for (topic, number), (first, end) in ranges.items():
            for offset in range(first, end) if number % 2 == 0 else ():
                self.read_records += 1
                yield Record(b"{}", None, [], 0, topic, number, offset)


def test_a_partition_without_records_does_not_cost_the_records_of_another() -> None:
    """A backlog may be long, and transaction markers alone are a range that gives nothing."""
    reader = HalfEmpty()
    ranges = {0: (5, LONG), 1: (0, LONG), 2: (7, LONG)}
    assert first_records(reader, TOPIC, ranges) == {0: 5, 2: 7}
    assert reader.read_records < 200


def test_the_first_one_that_fits_may_be_far() -> None:
    """Where it is not among the next few, the range is read until it comes."""
    reader = HalfEmpty()
    found = first_records(reader, TOPIC, {0: (0, LONG)}, lambda record: record.offset >= 900)
    assert found == {0: 900}
    assert reader.read_records < LONG
