"""An import reads its file twice, whatever kind of file it is."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.dlq.import_file import ImportFile, open_import
from pipeline.errors import UnusableFileError
from pipeline.files.lines import Line

TEXT = b"one\ntwo\n" * 100_000


def _lines(file: ImportFile) -> list[bytes]:
    return [line.text for lines in file.input().lines() for line in lines if isinstance(line, Line)]


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """With standard input closed, there is nothing to import."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UnusableFileError, match="standard input is closed"), open_import("-"):
        pass


def test_file_is_read_twice(tmp_path: Path) -> None:
    """A file is read where it is, twice."""
    path = tmp_path / "export.ndjson"
    path.write_bytes(TEXT)
    with open_import(str(path)) as file:
        assert (file.name, file.digest) == (str(path), _digest(TEXT))
        assert _lines(file) == _lines(file) == TEXT.splitlines()


def test_pipe_is_copied() -> None:
    """The contents of a pipe are copied, so that they can be read twice, too."""
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb") as end:
            end.write(TEXT)

    threading.Thread(target=fill).start()
    with open_import(f"/dev/fd/{read}") as file:
        assert file.digest == _digest(TEXT)
        assert _lines(file) == _lines(file) == TEXT.splitlines()
    os.close(read)


def test_standard_input_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is copied like any other pipe."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\nb")))
    with open_import("-") as file:
        assert (file.name, file.digest) == ("standard input", _digest(b"a\nb"))
        assert _lines(file) == _lines(file) == [b"a", b"b"]


def test_file_that_is_written_to_meanwhile(tmp_path: Path) -> None:
    """Only what the plan showed is sent, or nothing."""
    path = tmp_path / "export.ndjson"
    path.write_bytes(b"a\n")
    with open_import(str(path)) as file:
        assert _lines(file) == [b"a"]
        path.write_bytes(b"a\nb\n")
        with pytest.raises(UnusableFileError, match="was written to since the plan was made"):
            _lines(file)


def test_large_file_needs_little_memory(tmp_path: Path) -> None:
    """Memory does not grow with the file."""
    path = tmp_path / "export.ndjson"
    size = 16_000_000
    path.write_bytes((b"x" * 999 + b"\n") * (size // 1000))
    tracemalloc.start()
    try:
        with open_import(str(path)) as file:
            for _ in file.input().lines():
                pass
            _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < size / 4


def test_no_room_for_a_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk is reported with the folder and the variable that names another one."""
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT)))
    full = Path("/dev/full").open("w+b", buffering=0)  # noqa: SIM115  closed as the copy
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError, match=rf"No space left .*TMPDIR.*{tmp_path}"), open_import("-"):
        pass


def test_missing_file_is_named() -> None:
    """A missing file is named in the error."""
    with (
        pytest.raises(UnusableFileError, match="none: can't be read: No such"),
        open_import("none"),
    ):
        pass
