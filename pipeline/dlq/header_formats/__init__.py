"""The program that wrote a dead letter, and its headers under our names.

The headers of each system are one entry of `formats`, which translates them into those of
`core.headers.DlqHeader`, so that all other code knows one vocabulary only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.dead_letter import CONNECT_CLASS
from pipeline.core.formats import ReadText
from pipeline.core.headers import CONNECT_PREFIX, OUR_PREFIXES, DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.dead_letter import TRACK, UNKNOWN, DeadLetter, Writer
from pipeline.dlq.framed_dead_letter import FramedDeadLetter
from pipeline.dlq.header_formats.format import HeaderFormat, Named
from pipeline.dlq.header_formats.formats import CONNECT, CONNECT_CLASS_NAME, FOREIGN

__all__ = ["read_dead_letter", "reader_of"]

_BY_HEADER: Final = {
    name: header_format for header_format in FOREIGN for name in header_format.names
}
_OUR_CLASS: Final = CONNECT_CLASS.encode()
# With dead_letter.connect_headers our dead letters have Kafka Connect's headers, too.
_TRACK: Final = Writer(TRACK, (CONNECT_PREFIX,))
_UNKNOWN: Final = Writer(UNKNOWN)
# Text is found faster in a dict than a member of an enum, and this is done for every dead letter.
_VERSION: Final = DlqHeader.VERSION.value
_REASON: Final = DlqHeader.REASON.value
_REASONS: Final = DlqHeader.REASONS.value
_STAGE: Final = DlqHeader.STAGE.value
_FEWEST: Final = 4
"""Number of headers that every dead letter of ours begins with: version, reason, reasons, stage."""


def reader_of(read: ReadText | None) -> Callable[[Record], DeadLetter]:
    """Make what reads the records of a dead-letter topic whose raw records `read` reads.

    It is None when all of these are plain JSON, which then costs nothing.
    """
    if read is None:
        return read_dead_letter
    return lambda record: FramedDeadLetter(read_dead_letter(record), read)


def read_dead_letter(record: Record) -> DeadLetter:
    """Read a record of a dead-letter topic; whatever its headers hold, it is a dead letter."""
    headers = record.headers
    if not headers:
        return DeadLetter(record._replace(headers=()), _UNKNOWN, {})
    if (
        len(headers) > _FEWEST
        and headers[0][0] == _VERSION
        and headers[1][0] == _REASON
        and headers[2][0] == _REASONS
        and headers[3][0] == _STAGE
        and headers[-1][0].startswith(OUR_PREFIXES)
    ):
        # As the worker writes it for a record without headers.
        reasons = headers[1][1], headers[2][1], headers[3][1]
        return DeadLetter(record, _TRACK, None, reasons)
    # Of a name that occurs twice the last one counts, as in Kafka's own lastHeader().
    named = dict(headers)
    if headers[-1][0].startswith(OUR_PREFIXES) and _REASON in named:
        return DeadLetter(record, _TRACK, named)
    return _by_last_writer(record, named)


def _by_last_writer(record: Record, named: Named) -> DeadLetter:
    """Read the headers of the system that wrote last: each one appends its own at the end.

    The record may have been through several systems, and its sender may have written any header.
    Headers that look like ours before those of another system say nothing about this failure.
    """
    for name, _ in reversed(record.headers):
        header_format = _BY_HEADER.get(name)
        if _is_ours(name, header_format, named):
            return DeadLetter(record, _TRACK, named)
        if header_format is not None and header_format.needed <= named.keys():
            translated = header_format.translate(named, record.timestamp)
            return DeadLetter(record, header_format.writer, translated)
    return DeadLetter(record, _UNKNOWN, {})


def _is_ours(name: str, header_format: HeaderFormat | None, named: Named) -> bool:
    if _REASON not in named:
        return False
    if header_format is CONNECT:
        return named.get(CONNECT_CLASS_NAME) == _OUR_CLASS
    return name.startswith(OUR_PREFIXES)
