"""The reading half of a replay of files: from a number of lines that are done, to the last line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pipeline.core.record import Record
from pipeline.errors import DataLossError
from pipeline.files.archived_records import read_lines
from pipeline.files.lines import open_input
from pipeline.replay.file_scan import FileScan, FileStamp, file_stamp
from pipeline.replay.file_source import PlannedFile

PARTITION: Final = 0
"""The partition whose committed offset is the number of lines that are done."""


class FileConsumer:
    """Reads batches, and knows how far it is; see `kafka.replay_config.ReplaySource`."""

    def __init__(
        self,
        scan: FileScan,
        selects: Callable[[Record], bool] | None,
        max_bytes: int,
        linger_s: float,
    ) -> None:
        """`selects` tells which records are selected (None: all); the other two limit a batch."""
        self._scan = scan
        self._archive = scan.archive
        self._selects = selects
        self._max_bytes, self._linger_s = max_bytes, linger_s
        self._lines: Iterator[tuple[int, Record | None]] = iter(())
        self._at: tuple[PlannedFile, FileStamp | None] | None = None
        self.reached: dict[int, int] = {}
        """PARTITION → number of lines that were collected or left out."""
        self.left_out = 0
        """Number of records that were read but not selected since `start`."""

    @property
    def is_done(self) -> bool:
        """Whether every line was read."""
        return self.reached[PARTITION] >= self._archive.lines

    def start(self, positions: Mapping[int, int]) -> None:
        """Read on behind so many lines; what was read before is forgotten."""
        self.reached = dict(positions)
        self.left_out = 0
        self._lines = self._read(positions[PARTITION])

    def collect(self, max_records: int) -> list[Record]:
        """Read until there are so many selected records, or the batch is full by bytes or time.

        DataLossError when a file is not as it was when it was looked at.
        """
        records: list[Record] = []
        size, selects, repeated = 0, self._selects, self._scan.repeated
        deadline = time.monotonic() + self._linger_s
        while len(records) < max_records and size < self._max_bytes:
            line, record = next(self._lines, (0, None))
            if not line:
                break
            self.reached[PARTITION] = max(line, self.reached[PARTITION])
            if record is not None:
                size += len(record.value or b"")
                if (repeated.count and line in repeated) or not (
                    selects is None or selects(record)
                ):
                    self.left_out += 1
                else:
                    records.append(record)
            if time.monotonic() > deadline:
                break
        self._refuse_changed()
        return records

    def _read(self, done: int) -> Iterator[tuple[int, Record | None]]:
        """Yield the number and the record of each line behind those that are done."""
        archive = self._archive
        stamps = self._scan.stamps
        for file, start, known in zip(archive.files, archive.starts, stamps, strict=True):
            if start + file.lines <= done:
                continue
            self._at = file, known
            self._refuse_changed()
            with open_input(file.path, file.name) as opened:
                for line, record in read_lines(opened.input, archive.received_at, done - start):
                    yield start + line, record
            self._refuse_changed()

    def _refuse_changed(self) -> None:
        if self._at is None:
            return
        file, known = self._at
        if file_stamp(file.path) != known:
            raise DataLossError(
                f"{file.name}: is not the file that was planned any more: it was written to, or "
                "is gone. What was committed stays; resume the replay when that file is back"
            )
