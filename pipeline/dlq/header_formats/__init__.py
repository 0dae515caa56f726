"""Who wrote a dead letter, and what its headers say in our words.

Each system's headers are one entry of `table`, which translates them into those of
`core.deadletter.Header`, so that everything behind it knows one vocabulary only.
"""

from __future__ import annotations

from typing import Final

from pipeline.core.dead_letter import CONNECT_CLASS
from pipeline.core.headers import CONNECT_PREFIX, OUR_PREFIXES, DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.dead_letter import TRACK, UNKNOWN, DeadLetter
from pipeline.dlq.header_formats.format import Dialect, Named
from pipeline.dlq.header_formats.formats import CONNECT, CONNECT_CLASS_NAME, FOREIGN

__all__ = ["read_letter"]

_BY_HEADER: Final = {name: dialect for dialect in FOREIGN for name in dialect.names}
_OUR_CLASS: Final = CONNECT_CLASS.encode()
_ADDED: Final = (CONNECT_PREFIX,)
# Text is found faster in a dict than a member of an enum, and this is done for every letter.
_VERSION: Final = DlqHeader.VERSION.value
_REASON: Final = DlqHeader.REASON.value
_REASONS: Final = DlqHeader.REASONS.value
_STAGE: Final = DlqHeader.STAGE.value
_FEWEST: Final = 4
"""Version, reason, reasons and stage: what every letter of ours has, in this order."""


def read_letter(record: Record) -> DeadLetter:
    """A record of a dead-letter topic as a letter; whatever its headers hold, it is one."""
    headers = record.headers
    if not headers:
        return DeadLetter(record._replace(headers=()), UNKNOWN, {})
    if (
        len(headers) > _FEWEST
        and headers[0][0] == _VERSION
        and headers[1][0] == _REASON
        and headers[2][0] == _REASONS
        and headers[3][0] == _STAGE
        and headers[-1][0].startswith(OUR_PREFIXES)
    ):
        # As the worker writes it for a record that had no headers.
        return DeadLetter(record, TRACK, None, _ADDED)
    # Of a name that occurs twice the last one counts, as in Kafka's own lastHeader().
    named = dict(headers)
    if headers[-1][0].startswith(OUR_PREFIXES) and _REASON in named:
        return _ours(record, named)
    return _by_last_writer(record, named)


def _by_last_writer(record: Record, named: Named) -> DeadLetter:
    """The letter of the system whose headers are nearest to the end, since each appends its own.

    The record may have been through several systems, and its sender may write any header: what
    looks like ours, but stands before another system's headers, says nothing about this failure.
    """
    for name, _ in reversed(record.headers):
        dialect = _BY_HEADER.get(name)
        if _is_ours(name, dialect, named):
            return _ours(record, named)
        if dialect is not None and dialect.needed <= named.keys():
            said = dialect.said(named, record.timestamp)
            return DeadLetter(record, dialect.name, said, dialect.prefixes, dialect.names)
    return DeadLetter(record, UNKNOWN, {})


def _is_ours(name: str, dialect: Dialect | None, named: Named) -> bool:
    if _REASON not in named:
        return False
    if dialect is CONNECT:
        return named.get(CONNECT_CLASS_NAME) == _OUR_CLASS
    return name.startswith(OUR_PREFIXES)


def _ours(record: Record, named: Named) -> DeadLetter:
    # With dead_letter.connect_headers our letters have Kafka Connect's headers too.
    return DeadLetter(record, TRACK, named, _ADDED)
