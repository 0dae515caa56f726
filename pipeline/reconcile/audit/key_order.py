"""Checks whether events of one key are in the output in the order in which they were sent.

Outputs of a raw partition are usually in order, so one number for each pair of partitions is enough
to see it. Only for an output with a lower offset is the key looked up in the store.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.outputs import OutputRow

_KEYS: Final = 100_000
"""Number of keys that are kept in memory; others are looked up again."""


class KeyOrder:
    """Checks the order of outputs, which are given to it in the order of their raw records."""

    def __init__(self, store: OutputStore, most_keys: int = _KEYS) -> None:
        self._store = store
        self._most_keys = most_keys
        self._tops: dict[tuple[int, str, int], int] = {}
        self._of_key: OrderedDict[tuple[int, str, int, bytes], int] = OrderedDict()

    def is_late(self, row: OutputRow) -> bool:
        """Whether an earlier event of the same key has a higher output offset than this one.

        Records without a key have no order.
        """
        stream = row.partition, row.role, row.out_partition
        top = self._tops.get(stream, -1)
        if row.out_offset > top:
            self._tops[stream] = row.out_offset
        if row.key is None:
            return False
        known = (*stream, row.key)
        last = self._of_key.get(known)
        if last is None:
            if row.out_offset > top:
                return False
            last = self._store.last_of_key(row)
        self._of_key[known] = max(row.out_offset, -1 if last is None else last)
        self._of_key.move_to_end(known)
        if len(self._of_key) > self._most_keys:
            self._of_key.popitem(last=False)
        return last is not None and row.out_offset < last
