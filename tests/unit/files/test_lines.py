"""Compressed, damaged, binary and missing files are transformed in constant memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import DlqHeader
from pipeline.core.process import Processor
from pipeline.errors import ExitCode
from pipeline.files import lines as lines_module
from pipeline.files.lines import LONGEST_LINE, Input, Line
from pipeline.files.transform import NamedFile, Transformer, TransformOptions
from tests.unit.cli.program import run
from tests.unit.cli.test_transform import counts

EVENTS = b"".join(
    b'{"event":"E","userId":"u","messageId":"%d"}\n' % number for number in range(3000)
)
"""More bytes than one read decompresses."""


def zstd(data: bytes) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor().compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstd}
packed = pytest.mark.parametrize(("suffix", "pack"), PACKERS.items(), ids=PACKERS)


@packed
def test_compressed_files_give_the_same_lines(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """A compressed file gives the lines of the file itself, also when it has several parts."""
    middle = len(EVENTS) // 2
    plain, whole = tmp_path / "e", tmp_path / f"whole{suffix}"
    parts, nothing = tmp_path / f"parts{suffix}", tmp_path / f"nothing{suffix}"
    plain.write_bytes(EVENTS)
    whole.write_bytes(pack(EVENTS))
    parts.write_bytes(pack(EVENTS[:middle]) + pack(b"") + pack(EVENTS[middle:]))
    nothing.write_bytes(pack(b""))
    expected = run("transform", plain)
    assert expected.out.count(b"\n") == 3000
    assert run("transform", whole).out == expected.out
    assert run("transform", nothing, parts).out == expected.out


@packed
def test_truncated_files_are_processed_up_to_the_end(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """All complete lines of a truncated file are processed; then one sentence says so."""
    first, second = pack(EVENTS), pack(EVENTS)
    source = tmp_path / f"events{suffix}"
    source.write_bytes(first + second[: len(second) - 5])
    ran = run("transform", source, "--json")
    lines = counts(ran)["lines"]
    assert ran.code == ExitCode.INPUT_OUTPUT
    assert 3000 <= lines <= 6000
    assert ran.out.count(b"\n") == lines
    assert not counts(ran)["complete"]
    assert ran.err.splitlines()[1:] == [
        (
            f"track-pipeline: {source}: is truncated; "
            f"its first {lines} lines were processed, nothing after that"
        )
    ]


@packed
def test_damaged_files_are_processed_up_to_the_damage(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """A file that is damaged further on ends with the number of lines before the damage."""
    source = tmp_path / f"events{suffix}"
    source.write_bytes(pack(EVENTS) + b"no packed data")
    ran = run("transform", source, "--json")
    assert ran.code == ExitCode.INPUT_OUTPUT
    assert ran.out.count(b"\n") == counts(ran)["lines"] == 3000
    (sentence,) = ran.err.splitlines()[1:]
    assert sentence.startswith(f"track-pipeline: {source}: is damaged (")
    assert sentence.endswith("); its first 3000 lines were processed, nothing after that")


BINARY = {
    "program": (b"\x7fELF\x02\x01\x01\0\0", "is a program"),
    "gzip": (gzip.compress(EVENTS), "is gzip data; decompress it first"),
    "zstd": (zstd(EVENTS), "is zstd data; decompress it first"),
    "utf-16": ('{"event":"A"}\n'.encode("utf-16"), "is UTF-16 text; convert it to UTF-8 first"),
    "zeros": (bytes(100), "is binary, not text"),
}
binary = pytest.mark.parametrize(("content", "what"), BINARY.values(), ids=BINARY)


@binary
def test_binary_standard_input_is_reported(content: bytes, what: str) -> None:
    """Input that is not text gives one sentence instead of dead letters."""
    ran = run("transform", "--json", stdin=content)
    assert (ran.code, ran.out, counts(ran)["lines"]) == (ExitCode.USAGE, b"", 0)
    (sentence,) = ran.err.splitlines()[1:]
    assert sentence.startswith(f"track-pipeline: standard input: {what}")
    assert sentence.endswith("; expected JSON text")


@binary
def test_all_files_are_checked_first(tmp_path: Path, content: bytes, what: str) -> None:
    """One binary file among others stops the run before it begins."""
    good, bad, dead = tmp_path / "good", tmp_path / "bad", tmp_path / "dead"
    good.write_bytes(EVENTS)
    bad.write_bytes(content)
    dead.write_text("dead letters of another run")
    ran = run("transform", good, bad, "--dead-letters", dead)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert ran.err.startswith(f"track-pipeline: {bad}: {what}")
    assert len(ran.err.splitlines()) == 1
    assert dead.read_text() == "dead letters of another run"


MARK = b"\xef\xbb\xbf"
"""Byte-order mark, which Windows editors write at the start of a file."""


@pytest.mark.parametrize("piece", [1, 2, 100])
def test_byte_order_mark_is_not_part_of_the_first_line(piece: int) -> None:
    """The mark is skipped only at the start of a file, however slowly a pipe delivers it.

    Further down it is part of a line, whose event the contract reads without it.
    """
    content = MARK + b'{"event":"E","userId":"u"}\r\n' + MARK + b"second\n"
    source = Input("events", io.BufferedReader(Trickling(content, piece)))
    lines = [line.text for each in source.lines() for line in each if isinstance(line, Line)]
    assert lines == [b'{"event":"E","userId":"u"}', MARK + b"second"]


def test_a_file_with_only_a_byte_order_mark_is_empty(tmp_path: Path) -> None:
    """Such a file is empty, and a mark before a line end makes a blank line."""
    assert counts(run("transform", "--json", stdin=MARK))["lines"] == 0
    blank = counts(run("transform", "--json", stdin=MARK + b"\n"))
    assert (blank["lines"], blank["blank"], blank["dead_letters"]) == (1, 1, 0)
    packed_file = tmp_path / "events.gz"
    packed_file.write_bytes(gzip.compress(MARK + EVENTS))
    assert counts(run("transform", "--json", packed_file))["enriched"] == 3000


def test_nul_in_a_later_line_is_a_dead_letter() -> None:
    """Only the beginning decides whether a file is text; later damage affects its own line only."""
    ran = run("transform", "--json", stdin=b'{"event":"A","userId":"u"}\n\0\0\n')
    assert (ran.code, counts(ran)["reasons"]) == (ExitCode.OK, {"invalid_json": 1})


def test_named_pipes_are_opened_once(tmp_path: Path) -> None:
    """Opening a pipe twice would end its writer and lose its events."""
    pipe, event = tmp_path / "events", b'{"event":"A","userId":"u"}\n'
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(event,))
    writer.start()
    ran = run("transform", str(pipe))
    writer.join()
    assert (ran.code, ran.out.count(b"\n")) == (ExitCode.OK, 1)


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    """A missing file and a directory give one sentence each, before anything is processed."""
    good = tmp_path / "good"
    good.write_bytes(EVENTS)
    for bad, why in ((tmp_path / "no", "No such file or directory"), (tmp_path, "Is a directory")):
        ran = run("transform", good, bad)
        assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
        assert ran.err == f"track-pipeline: {bad}: can't be read: {why}\n"


@pytest.mark.parametrize("suffix", PACKERS)
def test_wrong_suffixes_are_reported(tmp_path: Path, suffix: str) -> None:
    """Plain text in a file named like a compressed one is reported before anything is processed."""
    source = tmp_path / f"events{suffix}"
    source.write_bytes(EVENTS)
    ran = run("transform", source)
    kind = "gzip" if suffix == ".gz" else "zstd"
    assert ran.code == ExitCode.USAGE
    assert ran.err.startswith(f"track-pipeline: {source}: is not {kind} data, although its name")


@packed
def test_files_compressed_twice_are_reported(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """The advice does not name the suffix that the file already has."""
    source = tmp_path / f"events{suffix}"
    source.write_bytes(pack(pack(EVENTS)))
    ran = run("transform", source)
    assert ran.code == ExitCode.USAGE
    assert " data compressed twice; decompress it first; expected JSON text" in ran.err


def test_frames_that_need_too_much_memory_are_reported(tmp_path: Path) -> None:
    """A zstd frame that needs too much memory is reported wherever it is in the file."""
    long = zstandard.ZstdCompressionParameters(window_log=28)
    frame = zstandard.ZstdCompressor(compression_params=long).compressobj()
    big = frame.compress(EVENTS) + frame.flush()
    source = tmp_path / "events.zst"
    sentence = (
        f"track-pipeline: {source}: was compressed with a window of 256 MiB, but at most "
        "128 MiB are allowed; run zstd -d --long=28 first"
    )
    source.write_bytes(big)
    assert run("transform", source) == (ExitCode.USAGE, b"", f"{sentence}\n")
    source.write_bytes(zstd(EVENTS) + big)
    ran = run("transform", source)
    assert (ran.code, ran.out.count(b"\n")) == (ExitCode.INPUT_OUTPUT, 3000)
    assert ran.err.splitlines()[-1].startswith(f"{sentence}; its first 3000 lines were processed")


def test_unwritable_dead_letter_file_is_reported_first(tmp_path: Path) -> None:
    """The file is opened before anything is read, so that no dead letter can be lost."""
    missing = tmp_path / "no" / "dead"
    for dead, why in ((tmp_path, "Is a directory"), (missing, "No such file or directory")):
        ran = run("transform", "--dead-letters", dead, stdin=EVENTS)
        assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
        assert ran.err == f"track-pipeline: --dead-letters {dead}: can't be written: {why}\n"


def test_dead_letters_can_not_go_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash is not a file name, and standard output is in use."""
    monkeypatch.chdir(tmp_path)
    ran = run("transform", "--dead-letters", "-", stdin=EVENTS)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert "the enriched events go to standard output" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_dead_letters_never_overwrite_an_input(tmp_path: Path) -> None:
    """An input is never overwritten by its own dead letters, under whatever name."""
    source, link = tmp_path / "events", tmp_path / "link"
    source.write_bytes(EVENTS)
    link.symlink_to(source)
    ran = run("transform", source, "--dead-letters", link)
    assert (ran.code, ran.out, source.read_bytes()) == (ExitCode.USAGE, b"", EVENTS)
    assert ran.err.endswith(": is also an input, which would be overwritten\n")


def test_full_disk_is_reported() -> None:
    """A disk that fills up ends the run with a sentence that names the file."""
    ran = run("transform", "--dead-letters", "/dev/full", stdin=b"nope\n")
    assert ran.code == ExitCode.INPUT_OUTPUT
    assert ran.err.splitlines()[-1] == "track-pipeline: /dev/full: No space left on device"


class Repeated(io.RawIOBase):
    """A file that repeats a line without keeping it in memory."""

    def __init__(self, line: bytes, times: int) -> None:
        self._line = line
        self._left = times

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        """Fill the buffer with whole lines."""
        lines = min(self._left, len(buffer) // len(self._line))
        self._left -= lines
        size = lines * len(self._line)
        buffer[:size] = self._line * lines
        return size


class Trickling(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, piece: int) -> None:
        self._content = io.BytesIO(content)
        self._piece = piece

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer will do
        """Fill a few bytes of the buffer."""
        piece = self._content.read(min(self._piece, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("seed", range(20))
def test_lines_of_any_length_are_split_right(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are the text between line ends, however they are read; too long ones have a hash."""
    dice = random.Random(seed)  # noqa: S311
    monkeypatch.setattr(lines_module, "LONGEST_LINE", 64)
    monkeypatch.setattr(lines_module, "CHUNK", dice.choice([1, 7, 64]))
    content = bytes(dice.choices(b"ab\r\n", [40, 40, 9, 2], k=3000))
    expected = [line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n")]
    assert {len(line) > 64 for line in expected} == {True, False}
    source = Input("events", io.BufferedReader(Trickling(content, dice.choice([3, 64, 999]))))
    found = [line for each in source.lines() for line in each]
    assert [line.number for line in found] == list(range(1, len(expected) + 1))
    for line, text in zip(found, expected, strict=True):
        if isinstance(line, Line):
            assert line.text == text
            assert len(text) <= 64
        else:
            value = line.value
            assert len(text) > 64
            assert (value.size, value.sha256) == (len(text), hashlib.sha256(text).hexdigest())
            assert text.startswith(value.start[:60])


TOO_LONG = b'{"event":"A","userId":"u","x":"' + b"x" * LONGEST_LINE + b'"}'
"""An event that is only too long."""


def test_too_long_lines_become_dead_letters(tmp_path: Path) -> None:
    """Such a dead letter identifies the line; the lines around it are processed as usual."""
    source, dead = tmp_path / "events.zst", tmp_path / "dead"
    good = b'{"event":"A","userId":"u","x":"' + b"x" * 1000 + b'"}'
    source.write_bytes(zstd(good + b"\n" + TOO_LONG + b"\r\n" + good))
    assert source.stat().st_size < 10_000
    ran = run("transform", "--json", source, "--dead-letters", dead)
    assert (counts(ran)["enriched"], counts(ran)["reasons"]) == (2, {"record_too_large": 1})
    (dead_letter,) = map(json.loads, dead.read_bytes().splitlines())
    assert dead_letter["source"] == f"{source}:2"
    assert dead_letter["reasons"][0]["detail"] == (
        f"{len(TOO_LONG)} bytes; a line of a file may have {LONGEST_LINE}"
    )
    assert json.loads(dead_letter["value"]) == {
        DlqHeader.POINTER: f"{source}:2",
        "sha256": hashlib.sha256(TOO_LONG).hexdigest(),
        "size": len(TOO_LONG),
    }


def test_too_long_documents_are_explained() -> None:
    """A document that is too long is explained like such a line."""
    ran = run("explain", stdin=TOO_LONG)
    assert ran.code == ExitCode.DIFFERENCE
    assert "- rejected: record_too_large" in ran.out.decode()
    assert hashlib.sha256(TOO_LONG).hexdigest() in ran.out.decode()
    assert len(ran.out) < 2000


def _peak(line: bytes, times: int) -> int:
    """Peak memory, in bytes, of transforming these bytes repeatedly."""
    file = io.BufferedReader(Repeated(line, times), 65536)
    with open("/dev/null", "wb") as nowhere:  # noqa: PTH123  as the command does
        transformer = Transformer(
            Processor(ContractSettings(), Identity(app="test")),
            NamedFile("nowhere", nowhere),
            None,
            TransformOptions(None, 1, for_terminal=False, on_bug=lambda _source, _error: None),
        )
        tracemalloc.start()
        try:
            transformer.transform(Input("events", file), lambda _position: None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert transformer.result.counts.events == (times if line.endswith(b"\n") else 1)
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    """A file twenty times as long takes no more memory."""
    good = b'{"event":"A","userId":"u","properties":{"text":"' + b"x" * 2000 + b'"}}\n'
    _peak(good, 100)  # what is made once and kept
    small, large = _peak(good, 500), _peak(good, 10_000)
    assert large < small + 500_000


def test_memory_does_not_grow_with_a_line() -> None:
    """A line twelve times too long takes no more memory than the longest that is allowed."""
    assert _peak(b"x" * 4096, 12 * LONGEST_LINE // 4096) < 3 * LONGEST_LINE
