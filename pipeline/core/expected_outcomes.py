"""Number of events in a raw record, counted apart from the code that makes outcomes of them.

Statistics compare it with the outcomes that were written: any difference is a bug of this program.
So nothing here is shared with `decode` and `process`, except the rule itself (contract §2): a batch
call has one event for each item, everything else is one event, also if it can't be read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Output, Record, Role


class _Envelope(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw(b"null")
    batch: list[msgspec.Raw] | None = None


_MAY_BE_BATCH: Final = (b'"batch"', b"\\u")
"""Bytes that every batch call contains; its key may be written with escapes."""
_SOURCE: Final = TrackHeader.SOURCE.value
_SLASHES: Final = 2
"""Slashes in `topic/partition/offset`; an item of a batch has one more."""
_decode: Final = msgspec.json.Decoder(_Envelope).decode


def expected_outcomes(record: Record, outputs: tuple[Output, ...]) -> int:
    """Return how many of a record's outputs must be outcomes: all but identify messages.

    A record that was rejected as a whole has one outcome, whatever it contains: a dead letter with
    the record's own value.
    """
    first = outputs[0]
    if len(outputs) == 1 and first.role is Role.ENRICHED and not _is_item(first):
        return 1  # nearly all records; looking for a batch in them would cost a microsecond
    value = record.value
    if not value or not any(mark in value for mark in _MAY_BE_BATCH):
        return 1
    if len(outputs) == 1 and first.role is Role.DEAD_LETTER and first.value == value:
        return 1
    try:
        envelope = _decode(value.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.DecodeError:
        return 1
    if envelope.batch is None or bytes(envelope.event) != b"null":
        return 1
    return len(envelope.batch)


def _is_item(enriched: Output) -> bool:
    """Whether the coordinates that an enriched event carries are those of an item of a batch."""
    for name, source in reversed(enriched.headers):
        if name == _SOURCE:
            return source is None or source.count(b"/") > _SLASHES
    return True
