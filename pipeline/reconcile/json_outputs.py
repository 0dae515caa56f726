"""Reads topics with their outputs as JSON, whatever form they have: tools compare one form only."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pipeline.avro.output_reader import OutputReader
from pipeline.core.record import Record
from pipeline.errors import UnreadableOutputError
from pipeline.ports import Ranges, Reader


class JsonOutputs:
    """A `Reader` that turns the outputs in some topics into JSON.

    What can't be read stays as it is, and is counted.
    """

    def __init__(self, reader: Reader, outputs: OutputReader, topics: Collection[str]) -> None:
        """`topics` are those of enriched events and identify messages."""
        self._reader = reader
        self._outputs = outputs
        self._topics = frozenset(topics)
        self._unreadable = 0
        self._problem = ""

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """Yield every record in the ranges; see `ports.Reader`."""
        topics, as_json = self._topics, self._outputs.as_json
        for record in self._reader.read(ranges):
            if record.topic not in topics:
                yield record
                continue
            try:
                yield as_json(record)
            except UnreadableOutputError as error:
                self._unreadable += 1
                self._problem = self._problem or str(error)
                yield record

    def notes(self) -> list[str]:
        """Say how many outputs could not be read, and why the first of them; empty for none."""
        if not self._unreadable:
            return []
        number = self._unreadable
        what = "1 output" if number == 1 else f"{number:,} outputs, for example one:"
        return [f"can't read {what} {self._problem}"]
