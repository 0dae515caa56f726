"""Files with plain events, and with archived records that keep their coordinates."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from pipeline.core.record import INVALID_HEADERS, NO_PARTITION, OversizedValue, Record, Role
from pipeline.dlq.export import line_of
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.errors import BrokenInputError, UnusableFileError
from pipeline.files.archived_records import read_lines, read_records
from pipeline.files.lines import open_input
from tests.fake_topics import FakeTopics, event

BINARY = {"base64": "/w=="}


def _read(file: Path, received_at: int | None = None) -> list[Record]:
    with open_input(str(file)) as opened:
        return list(read_records(opened.input, received_at))


def _written(folder: Path, *lines: bytes) -> Path:
    file = folder / "events.ndjson"
    file.write_bytes(b"\n".join(lines))
    return file


def _line(value: str = "{}", **members: object) -> bytes:
    named = {"topic": "track.raw", "partition": 2, "offset": 7, **members}
    fields = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in named.items()]
    return f'{{{", ".join(fields)}, "value": {value}}}'.encode()


def _kcat(**members: object) -> bytes:
    """A line as `kcat -J` writes it."""
    named = {"topic": "track.raw", "partition": 2, "offset": 7, "payload": '{"a": 1.10}'}
    return json.dumps(named | members).encode()


def test_byte_order_marks_are_skipped(tmp_path: Path) -> None:
    """Windows tools write one at the start; after files were joined there are more further down."""
    mark = b"\xef\xbb\xbf"
    lines = (_line(offset=1), _kcat(offset=2), event(3), b" ", b"")
    marked = _read(_written(tmp_path, *(mark + line for line in lines)))
    assert [(each.topic, each.offset) for each in marked[:2]] == [
        ("track.raw", 1),
        ("track.raw", 2),
    ]
    # An event's own bytes stay as they are: the rules skip the mark.
    assert [each.value for each in marked[2:]] == [mark + event(3)]
    dead_letter = read_dead_letter(Record(b"{", None, (), 1, "dead", 0, 1))
    exported = line_of(dead_letter, "id", reveal=True)
    with pytest.raises(UnusableFileError, match="dlq import"):
        _read(_written(tmp_path, mark + exported))


def test_plain_events_have_file_and_line_as_coordinates(tmp_path: Path) -> None:
    """Each line is an event with the coordinates `file:line`; blank lines are counted."""
    file = _written(tmp_path, event(1), b"", b'{"broken"', b'{"event":"E","offset":1}')
    records = _read(file, 5)
    assert [(each.topic, each.partition, each.offset) for each in records] == [
        (str(file), NO_PARTITION, number) for number in (1, 3, 4)
    ]
    assert {each.timestamp for each in records} == {5}


def test_too_long_lines_are_events_unless_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules reject such an event, but the coordinates of an archived record are required."""
    monkeypatch.setattr("pipeline.files.lines.LONGEST_LINE", 200)
    plain = event(1, properties={"x": "x" * 200})
    _, record = _read(_written(tmp_path, event(1), plain))
    assert isinstance(record.value, OversizedValue)
    (output,) = FakeTopics().processor().process(record, 1)
    assert (output.role, output.reason) == (Role.DEAD_LETTER, "record_too_large")
    for archived in (_line(f'"{200 * "x"}"'), _kcat(payload=200 * "x")):
        file = _written(tmp_path, event(1), archived)
        with pytest.raises(UnusableFileError, match=f"{file}:2: has {len(archived)} bytes, and a"):
            _read(file)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (
            _line('{"a": 1.10}', key="k", timestamp=9, headers=[["h", "x"], ["h", None]]),
            Record(b'{"a": 1.10}', b"k", [("h", b"x"), ("h", None)], 9, "track.raw", 2, 7),
        ),
        (_line("null"), Record(None, None, [], None, "track.raw", 2, 7)),
        (_line(r'"{\"a\":1}"'), Record(b'{"a":1}', None, [], None, "track.raw", 2, 7)),
        (_line('"not json"'), Record(b"not json", None, [], None, "track.raw", 2, 7)),
        (_line("[1, 2]"), Record(b"[1, 2]", None, [], None, "track.raw", 2, 7)),
        (
            _line(
                '{"base64": "//4="}', key={"base64": "AA=="}, headers=[["h", {"base64": "/w=="}]]
            ),
            Record(b"\xff\xfe", b"\0", [("h", b"\xff")], None, "track.raw", 2, 7),
        ),
        (
            _kcat(tstype="create", ts=9, broker=0, key="k", headers=["h", "x", "h", None]),
            Record(b'{"a": 1.10}', b"k", [("h", b"x"), ("h", None)], 9, "track.raw", 2, 7),
        ),
        (
            _kcat(payload="{}", headers={"h": ["x", None], "i": ["y"]}),
            Record(b"{}", None, [("h", b"x"), ("h", None), ("i", b"y")], None, "track.raw", 2, 7),
        ),
        (
            _kcat(key="KEY", headers=["h", "KEY"], payload="é").replace(b"KEY", b"k\xff\xfe"),
            Record("é".encode(), b"k\xff\xfe", [("h", b"k\xff\xfe")], None, "track.raw", 2, 7),
        ),
        (
            _kcat(headers=["NAME", "x"]).replace(b"NAME", b"\xff"),
            Record(b'{"a": 1.10}', None, INVALID_HEADERS, None, "track.raw", 2, 7),
        ),
        (_kcat(ts=-1, key=None, payload=None), Record(None, None, [], None, "track.raw", 2, 7)),
    ],
)
def test_archived_records_are_read_byte_for_byte(
    tmp_path: Path, line: bytes, record: Record
) -> None:
    """An archived record has everything that Kafka knew of it."""
    assert _read(_written(tmp_path, line)) == [record]


def test_events_with_coordinates_are_still_events(tmp_path: Path) -> None:
    """An event that has a topic, a partition and an offset is still an event."""
    line = event(1, topic="t", partition=1, offset=2)
    (record,) = _read(_written(tmp_path, line))
    assert record.partition == NO_PARTITION


@pytest.mark.parametrize(
    "line",
    [
        _line(partition=-1),
        _line(partition="0"),
        _line(offset=1.5),
        _line(offset=2**63),
        _line(topic="a/b"),
        _line(topic=""),
        _line(timestamp=-1),
        _line(timestamp="now"),
        _line(key=5),
        _line(key={"base64": "%"}),
        _line(headers=[["h"]]),
        _line(headers={"h": "x"}),
        _line("5"),
        _line('{"base64": 1}'),
        _line('{"base64": "A"}'),
        _line('{"base64": "AA==", "more": 1}'),
        _line(unknown=1),
        _line(payload="{}"),
        b'{"topic": "t", "partition": 0, "offset": 0}',
    ],
)
def test_invalid_archived_records_are_reported(tmp_path: Path, line: bytes) -> None:
    """A line with coordinates that is not a valid record gives one sentence with file and line."""
    file = _written(tmp_path, event(1), line)
    with pytest.raises(UnusableFileError) as failure:
        _read(file)
    assert str(failure.value).startswith(f"{file}:2: is not a valid archived record: ")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "line",
    [
        _kcat(payload={}),
        _kcat(headers=["h"]),
        _kcat(ts="now"),
        _kcat(payload_error="not Avro"),
        _kcat(payload="X", key=1).replace(b"X", b"\xff"),
    ],
)
def test_invalid_records_of_kcat_are_reported(tmp_path: Path, line: bytes) -> None:
    """A line that only looks like the output of kcat gives one sentence, too."""
    with pytest.raises(UnusableFileError, match=":1: is not a valid record of kcat -J: "):
        _read(_written(tmp_path, line))


def test_exported_dead_letters_are_reported(tmp_path: Path) -> None:
    """An exported dead letter is not a raw record; the message names the right command."""
    (record,) = FakeTopics().clean(event(1))
    dead_letter = read_dead_letter(record._replace(topic="track.dead-letter"))
    file = _written(tmp_path, line_of(dead_letter, "id", reveal=True))
    with pytest.raises(UnusableFileError, match=":1: is a dead letter written by `dlq export`"):
        _read(file)


def test_lines_can_be_skipped(tmp_path: Path) -> None:
    """Skipped lines may contain anything, and the others keep their numbers."""
    file = _written(tmp_path, _line(partition=-1), event(1), b"", event(2))
    with open_input(str(file)) as opened:
        found = list(read_lines(opened.input, after=1))
    assert [(line, record is None) for line, record in found] == [
        (2, False), (3, True), (4, False)
    ]  # fmt: skip
    with open_input(str(file)) as opened:
        assert list(read_lines(opened.input, after=4))[-1] == (4, None)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    """Both gzip and zstd are recognised by the file name, and truncation is reported."""
    text = b"\n".join([_line(), _line(offset=8)])
    packed = {".gz": gzip.compress(text), ".zst": zstandard.compress(text)}
    for suffix, data in packed.items():
        file = tmp_path / f"archive{suffix}"
        file.write_bytes(data)
        assert [each.offset for each in _read(file)] == [7, 8]
        file.write_bytes(data[:-4])
        with pytest.raises(BrokenInputError, match="is truncated"):
            _read(file)
