"""Scans all files before a replay: what they hold, and whether the replay can come to its end.

What can't be read (a file that is cut off, a line that is no archived record) is found here, before
anything is written. A record that is archived twice is replayed once: its first line counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.core.record import NO_PARTITION, Record
from pipeline.errors import UnusableFileError
from pipeline.files.archived_records import read_lines
from pipeline.files.lines import STDIN, OpenedInput, open_input, printable
from pipeline.progress import OnProgress, Progress
from pipeline.reconcile.disk_set import DiskSet
from pipeline.replay.file_source import Archive, PlannedFile

_BITS: Final = 8
_EVERY: Final = 20_000
_AS_A_LINE: Final = re.compile(r"(:[0-9]+){1,2}")


class FileStamp(NamedTuple):
    """The properties of a file that change when it is written to."""

    inode: int
    size: int
    changed_ns: int


def file_stamp(path: str) -> FileStamp | None:
    """Return the stamp of a file as it is now; None when it does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116  as it is called everywhere here
    except OSError:
        return None
    return FileStamp(found.st_ino, found.st_size, found.st_mtime_ns)


class LineSet:
    """A set of line numbers, from 1, that takes a bit for each line."""

    def __init__(self, lines: int) -> None:
        self._bits = bytearray(lines // _BITS + 1)
        self.count = 0

    def add(self, line: int) -> None:
        """Add a number that is not in the set."""
        self._bits[line // _BITS] |= 1 << line % _BITS
        self.count += 1

    def __contains__(self, line: int) -> bool:
        return bool(self._bits[line // _BITS] & 1 << line % _BITS)


@dataclass
class FileScan:
    """What was found in the files; times are epoch milliseconds."""

    archive: Archive
    stamps: tuple[FileStamp | None, ...]
    """The stamp of each file when it was read."""
    records: int
    archived: int
    """Number of records that have Kafka coordinates."""
    topics: tuple[str, ...]
    """The topics in these coordinates."""
    without_time: int
    first: int | None
    """The earliest time; None when no record has a time."""
    last: int | None
    repeated: LineSet
    """Lines whose record is on an earlier line, too."""
    folder: Path | None
    """Folder of temporary files; None is the system's."""


@dataclass
class _Found:
    """Counts over all files."""

    received_at: int | None
    records: int = 0
    archived: int = 0
    without_time: int = 0
    first: int | None = None
    last: int | None = None
    in_order: bool = True
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) → the last offset."""

    def read(self, opened: OpenedInput, progress: _ScanProgress) -> int:
        """Add a file, and return its number of lines."""
        last = 0
        for line, record in read_lines(opened.input, self.received_at):
            last = line
            if record is not None:
                self.add(record)
            if line % _EVERY == 0:
                progress.report()
        progress.report()
        return last

    def add(self, record: Record) -> None:
        """Add a record."""
        self.records += 1
        time = record.timestamp
        if time is None:
            self.without_time += 1
        else:
            self.first = time if self.first is None else min(self.first, time)
            self.last = time if self.last is None else max(self.last, time)
        if record.partition == NO_PARTITION:
            return
        self.archived += 1
        place = record.topic, record.partition
        self.in_order &= record.offset > self.offsets.get(place, -1)
        self.offsets[place] = record.offset


def scan_files(
    names: Sequence[str],
    received_at: int | None = None,
    folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> FileScan:
    """Read all files; temporary files go to `folder`.

    Raises UnusableFileError for a file that can't be replayed, and the errors of `files`.
    """
    paths, shown = _paths(names), [printable(name) for name in names]
    sizes = [_size(path, name) for path, name in zip(paths, shown, strict=True)]
    found, files, stamps = _Found(received_at), [], []
    for number, (path, name) in enumerate(zip(paths, shown, strict=True)):
        before = file_stamp(path)
        with open_input(path, name) as opened:
            progress = _ScanProgress(opened, sum(sizes[:number]), sum(sizes), on_progress)
            lines = found.read(opened, progress)
        files.append(PlannedFile(name, path, sizes[number], _sha256(path), lines))
        if file_stamp(path) != before:
            raise UnusableFileError(f"{name}: was written to while it was read")
        stamps.append(before)
    partitions = 1 + max((number for _, number in found.offsets), default=-1)
    archive = Archive(tuple(files), received_at, partitions, found.in_order)
    return FileScan(
        archive,
        tuple(stamps),
        found.records,
        found.archived,
        tuple(sorted({topic for topic, _ in found.offsets})),
        found.without_time,
        found.first,
        found.last,
        _repeated(archive, folder),
        folder,
    )


@dataclass
class _ScanProgress:
    """Reports progress in bytes of all files."""

    opened: OpenedInput
    before: int
    total: int
    on_progress: OnProgress | None

    def report(self) -> None:
        if self.on_progress is not None:
            at = self.before + self.opened.input.position
            self.on_progress(Progress("reading the files", at, self.total, "bytes"))


def _paths(names: Sequence[str]) -> list[str]:
    """Resolve the files, which must not depend on the current folder later; each may occur once."""
    paths: list[str] = []
    for name in names:
        shown = printable(name)
        if name == STDIN:
            raise UnusableFileError(
                "standard input can't be read a second time, so a replay of it could not be "
                "resumed: write it to a file (--dry-run takes it)"
            )
        path = os.path.realpath(name)
        if os.fsencode(path) != path.encode(errors="replace"):
            raise UnusableFileError(f"{shown}: its name is no UTF-8: rename it")
        if path in paths:
            raise UnusableFileError(f"{shown}: is named twice")
        paths.append(path)
        for other in names:
            if name.startswith(other) and _AS_A_LINE.fullmatch(name, len(other)):
                raise UnusableFileError(
                    f"{shown}: reads like a line of {printable(other)}: rename one of them"
                )
    return paths


def _size(path: str, shown: str) -> int:
    # Opening a pipe would wait for somebody to write into it.
    if Path(path).is_fifo():
        raise UnusableFileError(f"{shown}: is a pipe, and can't be read a second time")
    with open_input(path, shown) as opened:
        if opened.size is None:
            raise UnusableFileError(f"{shown}: is no regular file, and can't be read a second time")
        return opened.size


def _sha256(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  as it is opened everywhere here
        return hashlib.file_digest(file, "sha256").hexdigest()


def _repeated(archive: Archive, folder: Path | None) -> LineSet:
    """Find lines whose record is on an earlier line, too; none where coordinates rise."""
    repeated = LineSet(archive.lines)
    if archive.in_order:
        return repeated
    with DiskSet(folder) as seen:
        for line, record in _records(archive):
            if record.partition == NO_PARTITION:
                continue
            place = f"{record.topic}/{record.partition}/{record.offset}"
            if not seen.is_new(place.encode()):
                repeated.add(line)
    return repeated


def _records(archive: Archive) -> Iterator[tuple[int, Record]]:
    """Yield every record with its line among all lines."""
    for file, start in zip(archive.files, archive.starts, strict=True):
        with open_input(file.path, file.name) as opened:
            for line, record in read_lines(opened.input, archive.received_at):
                if record is not None:
                    yield start + line, record


def replayed_records(scan: FileScan) -> Iterator[tuple[int, Record]]:
    """Yield each record that is replayed, with its line; one that is archived twice comes once."""
    for line, record in _records(scan.archive):
        if line not in scan.repeated:
            yield line, record


def rescan_files(
    archive: Archive, folder: Path | None = None, on_progress: OnProgress | None = None
) -> FileScan:
    """Scan the files of a plan again; UnusableFileError unless each is what was planned."""
    for file in archive.files:
        size = _size(file.path, file.name)
        if size != file.size:
            raise _other(file, f"it has {size:,} bytes, and had {file.size:,}")
        if _sha256(file.path) != file.sha256:
            raise _other(file, "its contents (SHA-256) are others")
    paths = [file.path for file in archive.files]
    found = scan_files(paths, archive.received_at, folder, on_progress)
    if [file.sha256 for file in found.archive.files] != [file.sha256 for file in archive.files]:
        raise _other(archive.files[0], "it was written to in this moment")
    found.archive = archive
    return found


def _other(file: PlannedFile, why: str) -> UnusableFileError:
    return UnusableFileError(
        f"{file.name}: is not the file that was planned: {why}. Put that one back at {file.path}, "
        "or make a new replay"
    )
