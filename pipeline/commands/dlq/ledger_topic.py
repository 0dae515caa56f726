"""Reads the ledger of a dead-letter topic: at first all of it, then what has come since."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.record import Record
from pipeline.edges.kafka import Admin
from pipeline.ports import Reader


class LedgerTopic:
    """One ledger, which may grow while it is looked at."""

    def __init__(self, cluster: Admin, reader: Reader, topic: str) -> None:
        self._cluster = cluster
        self._reader = reader
        self._topic = topic
        self._next: dict[int, int] = {}

    def news(self, *, stable: bool) -> Iterator[Record]:
        """The records that were not read before; TransportError.

        `stable` ends before the first transaction that is open; else these are waited for.
        """
        extents = self._cluster.extents(self._topic, stable=stable)
        yield from self._reader.read(
            {
                (self._topic, number): (max(begin, self._next.get(number, begin)), end)
                for number, (begin, end) in extents.items()
            }
        )
        # Only now: what was not read to its end is read again.
        self._next = {number: end for number, (_, end) in extents.items()}
