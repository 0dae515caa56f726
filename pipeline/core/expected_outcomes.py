"""Number of events in a raw record, counted apart from the code that makes outcomes of them.

Statistics compare it with the outcomes that were written: any difference is a bug of this program.
So nothing here is shared with `decode` and `process`, except the rule itself (contract §2): a batch
call has one event for each item, everything else is one event, also if it can't be read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.record import Output, Record, Role


class _Envelope(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw(b"null")
    batch: list[msgspec.Raw] | None = None


_decode: Final = msgspec.json.Decoder(_Envelope).decode


def expected_outcomes(record: Record, outputs: tuple[Output, ...]) -> int:
    """Return how many of a record's outputs must be outcomes: all but identify messages.

    A record that was rejected as a whole has one outcome, whatever it contains: a dead letter with
    the record's own value.
    """
    value = record.value
    if not value or not _may_be_batch(value):
        return 1
    first = outputs[0]
    if len(outputs) == 1 and first.role is Role.DEAD_LETTER and first.value == value:
        return 1
    try:
        envelope = _decode(value.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.DecodeError:
        return 1
    if envelope.batch is None or bytes(envelope.event) != b"null":
        return 1
    return len(envelope.batch)


def _may_be_batch(value: bytes) -> bool:
    """Whether the value has a byte sequence that every batch call contains.

    Its key may be written with escapes. A single backslash is found several times faster than two
    characters are, and few events have one.
    """
    return b'"batch"' in value or (b"\\" in value and b"\\u" in value)
