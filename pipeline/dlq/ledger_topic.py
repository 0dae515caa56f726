"""Reads the ledger of a dead-letter topic: first all of it, then what was added since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pipeline.core.record import Record
from pipeline.dlq.ledger import Entry, read_entry
from pipeline.ports import Reader
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX, require_permission
from pipeline.wiring import admin, range_reader


class TopicExtents(Protocol):
    """Tells which offsets a topic has; `Admin` does."""

    def extents(self, topic: str, *, stable: bool = False) -> dict[int, tuple[int, int]]:
        """Each partition's first offset and the one after its last; see `Admin.extents`."""


class LedgerTopic:
    """One ledger, which may grow while it is read."""

    def __init__(self, cluster: TopicExtents, reader: Reader, topic: str) -> None:
        self._cluster = cluster
        self._reader = reader
        self._topic = topic
        self._next: dict[int, int] = {}

    def news(self, *, stable: bool) -> Iterator[Record]:
        """Records that were not read before; raises TransportError.

        With `stable` they end before the first open transaction; otherwise open ones are waited
        for.
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


def entries_of(settings: Settings, topic: str) -> Iterator[Entry]:
    """Entries about the dead letters of a topic; none when it has no ledger.

    Raises RefusedError when the ledger may not be read, and TransportError.
    """
    cluster, ledger = admin(settings), topic + LEDGER_SUFFIX
    cluster.wait_until_reachable()
    facts = cluster.topics([ledger])
    if ledger not in facts:
        return
    require_permission(facts.values(), "READ")
    for record in LedgerTopic(cluster, range_reader(settings), ledger).news(stable=True):
        entry = read_entry(record)
        if entry is not None:
            yield entry
