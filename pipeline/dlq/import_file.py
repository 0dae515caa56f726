"""Sends the dead letters of an exported file, edited or not.

The file is read twice: for the plan, and to send its dead letters.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Final

from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.export import read_dead_letters
from pipeline.dlq.live_contract import check_live_contract
from pipeline.dlq.reader import DlqReader, open_reader
from pipeline.dlq.redrive_plan import RedriveJob, RedriveOptions, job_of
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.errors import UnusableFileError
from pipeline.files.lines import CHUNK, STDIN, Input, printable, size_of

_HASH_DIGITS: Final = 12


class ImportFile:
    """A file that can be read again from its start; it is never in memory as a whole."""

    def __init__(self, name: str, file: IO[bytes], digest: str) -> None:
        self.name = name
        self.digest = digest
        """First digits of the SHA-256 of the file."""
        self._file = file
        self._state = _state(file)

    def input(self) -> Input:
        """Read the file from its start; raises UnusableFileError if it was written to since."""
        if _state(self._file) != self._state:
            raise UnusableFileError(
                f"{self.name}: was written to since the plan was made: import it again"
            )
        self._file.seek(0)
        return Input(self.name, self._file)


@contextmanager
def open_import(name: str) -> Iterator[ImportFile]:
    """Open a file, a pipe, or standard input (`-`).

    What can be read only once is copied to a temporary file first. Raises UnusableFileError when it
    can't be opened, and OSError when it can't be read or copied.
    """
    if name == STDIN and sys.stdin is None:
        raise UnusableFileError("standard input is closed")
    shown = "standard input" if name == STDIN else printable(name)
    try:
        # By its name, as everywhere: a name may be no text. Standard input stays open.
        opened = nullcontext(sys.stdin.buffer) if name == STDIN else open(name, "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise UnusableFileError(f"{shown}: can't be read: {error.strerror}") from error
    with opened as file:
        if size_of(file) is not None and name != STDIN:
            yield ImportFile(shown, file, _digest(file, None))
            return
        with tempfile.TemporaryFile(prefix="track-pipeline-") as copy:
            digest = _digest(file, copy)
            yield ImportFile(shown, copy, digest)


def _digest(file: IO[bytes], copy: IO[bytes] | None) -> str:
    """Digest of a file, which is read to its end and copied on the way."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        if copy is not None:
            try:
                copy.write(chunk)
                copy.flush()
            except OSError as error:
                where = tempfile.gettempdir()
                text = f"{error.strerror}; what is read from a pipe is kept there (TMPDIR)"
                raise OSError(error.errno, text, where) from error
    return digest.hexdigest()[:_HASH_DIGITS]


def _state(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


class Edited:
    """The repair that a person made in an export; the dead letters of the file have it already."""

    def __init__(self, file: ImportFile) -> None:
        self.name = f"import {Path(file.name).name} sha256:{file.digest}"

    def apply(self, dead_letter: DeadLetter) -> bytes | None:
        """Value of the dead letter in the file."""
        return dead_letter.value or b""


@contextmanager
def prepare_import(
    request: DlqRequest,
    name: str,
    options: RedriveOptions | None = None,
    *,
    on_notice: OnNotice = ignore_notice,
) -> Iterator[RedriveJob]:
    """Prepare to send the dead letters of an exported file to the enriched topic.

    The options apply but for `repair`, which is the edited file, and `to`. See `open_import` and
    `prepare_redrive` for errors.
    """
    options = options or RedriveOptions()
    reader = open_reader(request, on_notice)
    note = check_live_contract(request.settings, force=options.force, raw=False)
    with open_import(name) as file:
        yield job_of(
            request,
            replace(options, repair=Edited(file)),
            reader,
            lambda _: islice(_imported(file, request, reader), request.selection.limit),
            note,
        )


def _imported(file: ImportFile, request: DlqRequest, reader: DlqReader) -> Iterator[DeadLetter]:
    """Selected dead letters of a file; raises UnusableFileError for those that can't be sent."""
    selection, snapshot = request.selection, reader.snapshot
    for exported in read_dead_letters(file.input(), reader.formats.read):
        dead_letter = exported.dead_letter
        where = f"{file.name}: dead letter {dead_letter.position}"
        if exported.masked:
            raise UnusableFileError(
                f"{where} is masked, so its value is not the rejected one: export with --reveal"
            )
        if exported.topic_id != snapshot.topic_id:
            raise UnusableFileError(
                f"{where} is of another topic than {snapshot.topic}, or of an older one of this "
                "name: name its topic with --topic"
            )
        if selection.reads(dead_letter.partition, dead_letter.offset) and selection.matches(
            dead_letter
        ):
            yield dead_letter
