"""Transforms files of events into enriched events and dead letters, without Kafka.

Each line goes through the same `Processor` as a Kafka record. File name and line number take the
place of coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final, NamedTuple

import msgspec

from pipeline.core.counts import OutcomeCounts
from pipeline.core.dead_letter import read_headers
from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped
from pipeline.core.headers import DlqHeader
from pipeline.core.process import Processor
from pipeline.core.record import NO_PARTITION, Output, Record, Role
from pipeline.errors import TransportError
from pipeline.files.lines import Input, Line, TooLongLine


@dataclass(slots=True)
class TransformResult:
    """Outcomes of the input."""

    lines: int = 0
    blank: int = 0
    """Number of lines that are empty or only white space."""
    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    complete: bool = False
    """Whether everything was read and written."""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "lines": self.lines,
            "blank": self.blank,
            "events": self.counts.events,
            **self.counts.to_dict(),
            "complete": self.complete,
        }


class NamedFile(NamedTuple):
    """A file to write to, and its name for errors."""

    name: str
    file: IO[bytes]

    def write(self, pieces: list[bytes]) -> None:
        """Write lines and flush them; an OSError names the file."""
        with self._named_errors():
            self.file.write(b"".join(pieces))
            self.file.flush()

    def close(self) -> None:
        """Close the file, which is when some file systems report that writing failed."""
        with self._named_errors():
            self.file.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.filename is not None:
                raise  # a stream that names itself
            raise OSError(error.errno, error.strerror, self.name) from error


ReadLine = Callable[[str, Line | TooLongLine, int | None], Record | None]
"""Makes a record of a line of a named file; see `archived_records.record_of`."""


class TransformOptions(NamedTuple):
    """Options of a transformation; times are epoch milliseconds."""

    received_at: int | None
    """Time of receipt of events that do not have one."""
    now: int
    """Wall clock, for timestamps of dead letters."""
    for_terminal: bool
    """Whether to escape characters that would steer a terminal."""
    on_bug: Callable[[str, Exception], None]
    """Called with the line (`file:line`) on which our own code has failed."""
    read_line: ReadLine | None = None
    """Reads lines that may be archived records; None takes each as an event."""


class Transformer:
    """Transforms lines, writes the outputs and counts the outcomes."""

    def __init__(
        self,
        processor: Processor,
        events: NamedFile,
        dead_letters: NamedFile | None,
        options: TransformOptions,
        other: NamedFile | None = None,
    ) -> None:
        self.result = TransformResult()
        self._processor = processor
        self._events = events
        self._dead_letters = dead_letters
        self._other = other
        self._received_at, self._now = options.received_at, options.now
        self._for_terminal, self._on_bug = options.for_terminal, options.on_bug
        self._read_line = options.read_line or line_record
        self._enriched_lines: list[bytes] = []
        self._dead_lines: list[bytes] = []
        self._other_lines: list[bytes] = []

    def transform(self, source: Input, on_progress: Callable[[int], None]) -> None:
        """Transform all lines of an input; `on_progress` gets the position in bytes now and then.

        Raises BrokenInputError or UnusableFileError when the input fails, TransportError when the
        schema of a record can't be looked up, and OSError when writing fails. Outputs of the lines
        before that are written.
        """
        for lines in source.lines():
            try:
                for line in lines:
                    self._take(source.name, line)
            finally:
                self._flush()
            on_progress(source.position)

    def _take(self, name: str, line: Line | TooLongLine) -> None:
        self.result.lines += 1
        if isinstance(line, Line) and (not line.text or line.text.isspace()):
            self.result.blank += 1
            return
        record = self._read_line(name, line, self._received_at)
        if record is None:
            self.result.blank += 1
            return
        try:
            outputs = self._processor.process(record, self._now)
        except TransportError:
            raise
        except Exception as error:  # noqa: BLE001  a bug of ours must not lose the line
            self._on_bug(f"{name}:{line.number}", error)
            outputs = (self._processor.crashed(record, self._now),)
        for output in outputs:
            self._keep(record, output)

    def _keep(self, record: Record, output: Output) -> None:
        self.result.counts.count(output)
        if output.role is Role.DEAD_LETTER:
            if self._dead_letters is not None:
                self._dead_lines.append(encode_json(dead_letter_line(output)) + b"\n")
        elif output.role is Role.OTHER:
            if self._other is not None:
                # In the format of the record, which may be no line.
                written = record._replace(value=output.value, headers=output.headers)
                self._other_lines.append((self._processor.text(written) or b"") + b"\n")
        elif output.role is not Role.DROPPED:
            text = output.value or b""
            if self._for_terminal:
                text = escaped(text.decode()).encode()
            self._enriched_lines.append(text + b"\n")

    def _flush(self) -> None:
        if self._enriched_lines:
            self._events.write(self._enriched_lines)
            self._enriched_lines = []
        if self._dead_letters is not None and self._dead_lines:
            self._dead_letters.write(self._dead_lines)
            self._dead_lines = []
        if self._other is not None and self._other_lines:
            self._other.write(self._other_lines)
            self._other_lines = []


def line_record(name: str, line: Line | TooLongLine, received_at: int | None) -> Record:
    """A line as a raw record, with file name and line number as its coordinates."""
    value = line.value if isinstance(line, TooLongLine) else line.text
    return Record(value, None, (), received_at, name, NO_PARTITION, line.number)


UTF_8: Final = "utf-8"
BASE64: Final = "base64"


def dead_letter_line(dead_letter: Output) -> dict[str, Any]:
    """One dead letter as JSON values: source, reasons, and the value as text."""
    headers = read_headers(dead_letter.headers)
    encoding, value = as_text(dead_letter.value or b"")
    return {
        "source": headers[DlqHeader.SOURCE],
        "reason": headers[DlqHeader.REASON],
        "reasons": msgspec.json.decode(headers[DlqHeader.REASONS]),
        "stage": headers[DlqHeader.STAGE],
        "encoding": encoding,
        "value": value,
    }


def as_text(value: bytes) -> tuple[str, str]:
    """Encoding and text from which exactly these bytes can be restored."""
    with suppress(UnicodeDecodeError):
        return UTF_8, value.decode()
    # JSON has no bytes: msgspec writes them as base64.
    return BASE64, str(msgspec.to_builtins(value))
