"""Whether events of one key stand in the output in the order in which they were sent.

Outputs of a raw partition come in order, as a rule, so one number for each pair of partitions
tells it. Only for an output that is behind it the key decides, and is looked up in the store.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pipeline.reconcile.output_store import Store
from pipeline.reconcile.outputs import Found

_KEYS: Final = 100_000
"""Keys that are remembered; others are looked up again."""


class KeyOrder:
    """Sees the outputs in the order of their raw records."""

    def __init__(self, store: Store, most_keys: int = _KEYS) -> None:
        self._store = store
        self._most_keys = most_keys
        self._tops: dict[tuple[int, str, int], int] = {}
        self._of_key: OrderedDict[tuple[int, str, int, bytes], int] = OrderedDict()

    def is_late(self, row: Found) -> bool:
        """Whether an earlier event of the same key stands behind this one.

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
