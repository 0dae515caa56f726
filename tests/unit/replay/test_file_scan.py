"""The look at all files before a replay."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.record import NO_PARTITION
from pipeline.errors import UnusableFileError
from pipeline.progress import Progress
from pipeline.replay.file_scan import rescan_files, scan_files
from tests.fake_topics import event


def archived(partition: int, offset: int, time: int | None = None) -> bytes:
    """An archived record."""
    value = json.loads(event(offset))
    line = {"topic": "track.raw", "partition": partition, "offset": offset, "value": value}
    return json.dumps(line if time is None else line | {"timestamp": time}).encode()


def written(folder: Path, name: str, lines: Sequence[bytes]) -> str:
    """A file of these lines."""
    text = b"".join(line + b"\n" for line in lines)
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(folder / name)


def test_scan_counts_what_is_in_all_files(tmp_path: Path) -> None:
    """A scan tells lines, records, times and topics; its progress reaches all bytes."""
    plain = written(tmp_path, "a", [event(1), b"", b"{"])
    packed = written(tmp_path, "b.gz", [archived(2, 5, 10), archived(0, 1, 20), archived(2, 6)])
    told: list[Progress] = []
    found = scan_files([plain, packed], on_progress=told.append)
    assert [file.lines for file in found.archive.files] == [3, 3]
    assert (found.records, found.archived, found.topics) == (5, 3, ("track.raw",))
    assert (found.first, found.last, found.without_time) == (10, 20, 3)
    assert (found.archive.in_order, found.archive.partitions, found.repeated.count) == (True, 3, 0)
    assert (told[-1].done, told[-1].unit) == (told[-1].total, "bytes")


@pytest.mark.parametrize(
    ("lines", "in_order", "repeated"),
    [
        ([archived(0, 1), archived(1, 0), archived(0, 2)], True, []),
        ([archived(0, 2), archived(0, 1)], False, []),
        ([archived(0, 1), archived(0, 1)], False, [3]),
        ([archived(0, 1), event(1), archived(0, 1), archived(0, 2), archived(0, 1)], False, [4, 6]),
    ],
)
def test_records_that_are_archived_twice_count_once(
    tmp_path: Path,
    lines: list[bytes],
    in_order: bool,  # noqa: FBT001  a parameter of the test
    repeated: list[int],
) -> None:
    """The first line of each counts, also over several files; the others are known."""
    first = written(tmp_path, "a", [event(0)])
    found = scan_files([first, written(tmp_path, "b", lines)], folder=tmp_path)
    assert found.archive.in_order is in_order
    assert [
        line for line in range(1, found.archive.lines + 1) if line in found.repeated
    ] == repeated
    assert found.repeated.count == len(repeated)


def test_only_the_planned_files_can_be_scanned_again(tmp_path: Path) -> None:
    """A replay goes on with the files that were planned, and with no others."""
    file = written(tmp_path, "a", [event(1), event(2)])
    planned = scan_files([file], received_at=5).archive
    again = rescan_files(planned)
    assert (again.archive, again.first) == (planned, 5)
    written(tmp_path, "a", [event(1), event(2), event(3)])
    with pytest.raises(UnusableFileError, match="a: is not the file that was planned: it has "):
        rescan_files(planned)
    written(tmp_path, "a", [event(1), event(3)])
    with pytest.raises(UnusableFileError, match="its contents"):
        rescan_files(planned)
    Path(file).unlink()
    with pytest.raises(UnusableFileError, match="can't be read"):
        rescan_files(planned)


def test_files_that_can_not_be_replayed_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file must be readable twice, and its lines must not be named like those of another."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a", [event(1)])
    written(tmp_path, "a:1", [event(1)])
    os.mkfifo("pipe")
    for names, why in (
        (["-"], "standard input can't be read a second time"),
        (["pipe"], "is a pipe"),
        (["a", "./a"], "is named twice"),
        (["a", "a:1"], "reads like a line of a"),
        (["no such"], "can't be read"),
        ([os.fsdecode(b"\xff")], "its name is no UTF-8"),
    ):
        with pytest.raises(UnusableFileError, match=why):
            scan_files(names)


def test_file_that_is_written_to_is_not_planned(tmp_path: Path) -> None:
    """A file that grows while it is scanned can't be planned."""
    file = written(tmp_path, "a", [event(1)])

    def write(_: Progress) -> None:
        written(tmp_path, "a", [event(1), event(2)])

    with pytest.raises(UnusableFileError, match="a: was written to while it was read"):
        scan_files([file], on_progress=write)


def test_sources_of_lines_are_told_from_coordinates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are told from archived coordinates, whatever the files are called."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "a/b:1".replace("/", "-"), "c:d"):
        written(tmp_path, name, [event(1), event(2)])
    archive = scan_files(["a", "a-b:1", "c:d"]).archive
    assert archive.source(b"a:2") == Source("a", NO_PARTITION, 2, NO_ITEM)
    assert archive.source(b"a-b:1:2:0") == Source("a-b:1", NO_PARTITION, 2, 0)
    assert archive.source(b"track.raw/1/2/3") == Source("track.raw", 1, 2, 3)
    for strange in (b"", b"a:0", b"a:x", b"b:1", b"a:1:2:3"):
        assert archive.source(strange) is None
    last = archive.source(b"c:d:2")
    assert last is not None
    assert (last.text(), archive.line_of(last)) == ("c:d:2", 6)
    assert archive.line_of(last._replace(offset=3)) is None
