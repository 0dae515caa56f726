"""Batches of files: from a number of lines that are done, to the last line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.record import Record
from pipeline.errors import DataLossError
from pipeline.replay.file_reader import PARTITION, FileConsumer
from pipeline.replay.file_scan import scan_files
from tests.fake_topics import event
from tests.unit.replay.test_file_scan import archived, written

_LARGE = 1_000_000
_LONG_S = 3600.0


def _collector(
    names: list[str], max_bytes: int = _LARGE, linger_s: float = _LONG_S
) -> FileConsumer:
    collector = FileConsumer(scan_files(names), None, max_bytes, linger_s)
    collector.start({PARTITION: 0})
    return collector


def _offsets(records: list[Record]) -> list[int]:
    return [record.offset for record in records]


def test_batches_run_over_the_ends_of_files(tmp_path: Path) -> None:
    """A batch is filled from several files; blank lines count as done, too."""
    names = [
        written(tmp_path, "a", [event(1), b"", event(2)]),
        written(tmp_path, "b.gz", [event(3), event(4), b""]),
    ]
    collector = _collector(names)
    seen = [
        (_offsets(collector.collect(3)), dict(collector.reached), collector.is_done)
        for _ in range(2)
    ]
    assert seen == [([1, 3, 1], {PARTITION: 4}, False), ([2], {PARTITION: 6}, True)]
    assert (collector.collect(3), collector.collect(0)) == ([], [])


@pytest.mark.parametrize(("max_bytes", "linger_s"), [(1, _LONG_S), (_LARGE, -1.0)])
def test_full_batch_has_at_least_one_line(tmp_path: Path, max_bytes: int, linger_s: float) -> None:
    """Limits of bytes and time leave one line to each batch, so that there is an end."""
    collector = _collector([written(tmp_path, "a", [event(1), event(2)])], max_bytes, linger_s)
    assert _offsets(collector.collect(5)) == [1]
    assert _offsets(collector.collect(5)) == [2]


def test_reading_goes_on_behind_any_line(tmp_path: Path) -> None:
    """From any number of lines the rest is read, with the same coordinates."""
    names = [written(tmp_path, name, [event(1), event(2), b""]) for name in ("a", "b")]
    places = [("a", 1), ("a", 2), ("a", None), ("b", 1), ("b", 2), ("b", None)]
    collector = _collector(names)
    for done in range(len(places) + 1):
        collector.start({PARTITION: done})
        records = []
        while not collector.is_done:
            records += collector.collect(1)
        found = [(Path(record.topic).name, record.offset) for record in records]
        assert found == [place for place in places[done:] if place[1] is not None]


def test_lines_that_are_not_selected_are_done(tmp_path: Path) -> None:
    """Lines that filters leave out, and those that are archived twice, count as done.

    A start forgets what was left out before.
    """
    lines = [archived(0, 2), archived(0, 1), archived(0, 2), archived(0, 3)]
    names = [written(tmp_path, "a", lines)]
    collector = FileConsumer(scan_files(names), lambda record: record.offset != 3, _LARGE, _LONG_S)
    for _ in range(2):
        collector.start({PARTITION: 0})
        assert _offsets(collector.collect(9)) == [2, 1]
        assert (collector.left_out, collector.is_done) == (2, True)


@pytest.mark.parametrize("lines", [[event(1), event(2), event(3)], [event(1)], None])
def test_file_that_changes_is_not_collected(tmp_path: Path, lines: list[bytes] | None) -> None:
    """Nothing is collected of a file that is written to, or is gone."""
    name = written(tmp_path, "a", [event(1), event(2)])
    collector = _collector([name])
    collector.collect(1)
    if lines is None:
        Path(name).unlink()
    else:
        written(tmp_path, "a", lines)
    with pytest.raises(DataLossError, match="is not the file that was planned any more"):
        collector.collect(1)
