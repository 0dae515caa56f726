"""Number of events in a batch call, counted apart from the code that makes outcomes of them.

Statistics compare it with the outcomes that were written: any difference is a bug of this program.
So nothing here is shared with `decode` and `process`, except the rule itself (contract §2): a batch
call has one event for each item.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.core.record import ItemOutputs, Output, Record

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _Envelope(msgspec.Struct):
    batch: list[msgspec.Raw] = []


_decode: Final = msgspec.json.Decoder(_Envelope).decode


def expected_outcomes(record: Record, outputs: tuple[Output, ...]) -> int:
    """Return how many of a record's outputs must be outcomes: all but identify messages.

    A record that is no batch call has one outcome, and so has one that was rejected as a whole.
    """
    if type(outputs) is not ItemOutputs:
        return 1
    try:
        return len(_decode((record.value or b"").removeprefix(_BYTE_ORDER_MARK)).batch)
    except msgspec.DecodeError:
        return 0  # nothing that can't be read has items
