"""Number of events in a batch call, counted apart from the code that makes outcomes of them.

Statistics compare it with the outcomes that were written: any difference is a bug of this program.
So nothing here is shared with `decode` and `process`, except the rule itself (contract §2): a batch
call has one event for each item.
"""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec

from pipeline.core.record import ItemOutputs, Output

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_ITEMS: Final = 2
"""Depth of the array of items."""


class _Envelope(msgspec.Struct):
    batch: list[msgspec.Raw] = []


_decode: Final = msgspec.json.Decoder(_Envelope).decode


def expected_outcomes(text: bytes | None, outputs: tuple[Output, ...]) -> int:
    """Return how many of a record's outputs must be outcomes: all but identify messages.

    `text` is the JSON text of the record. A record that is no batch call has one outcome, and so
    has one that was rejected as a whole.
    """
    if type(outputs) is not ItemOutputs:
        return 1
    try:
        return len(_decode((text or b"").removeprefix(_BYTE_ORDER_MARK)).batch)
    except (msgspec.DecodeError, RecursionError):
        return _count_by_brackets(text or b"")


def _count_by_brackets(value: bytes) -> int:
    """Number of items of an envelope, some of which can't be read."""
    depth, count, key, is_batch = 0, 0, b"", False
    for token in _TOKEN.findall(value):
        if token in b"[{":
            depth += 1
            if depth == _ITEMS:
                is_batch = token == b"[" and _text(key) == "batch"
                count += is_batch
        elif token in b"]}":
            depth -= 1
        elif token == b",":
            count += is_batch and depth == _ITEMS
        elif depth == 1:
            key = token
    return count


def _text(key: bytes) -> str:
    try:
        return str(json.loads(key))
    except ValueError:
        return ""  # the outcome of such an envelope is that of one record
