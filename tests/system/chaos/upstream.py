"""A sender that writes to the raw topic in transactions, which end in every way there is.

Most are committed, some aborted; now and then one is left open until the sender's next start ends
it. Only what was committed counts: nobody may ever see the rest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, Producer

from tests.system.chaos.quiet import QUIET

_STEP_S: Final = 5.0
_PATIENCE_S: Final = 60.0
_MEAN_RECORDS: Final = 20
_MOST_RECORDS: Final = 300
_LEFT_OPEN_S: Final = (0.2, 2.0)
_COMMIT: Final = "commit"
_ENDS: Final = {_COMMIT: 6, "abort": 3, "left open": 1}
"""How a transaction ends, and how often."""
_AGAIN_S: Final = 0.2


class Draft(NamedTuple):
    """One record to write."""

    value: bytes | None
    key: bytes | None
    number: int = 0
    """In the ledger."""
    partition: int = -1
    """-1 lets the client choose."""


class Book(NamedTuple):
    """What the ledger is told of records that were written: their number, partition and offset."""

    have: Callable[[int, int, int], None]
    """They are committed."""
    unsure: Callable[[int, int, int], None]
    """Nobody knows whether they are."""


class Upstream:
    """One transactional producer at a time; what an older one left open, the next one ends."""

    def __init__(self, servers: str, topic: str, dice: random.Random, book: Book) -> None:
        self._config = {
            "bootstrap.servers": servers,
            "transactional.id": f"upstream.{topic}",
            "transaction.timeout.ms": 10_000,
            **QUIET,
        }
        self._topic = topic
        self._dice = dice
        self._book = book
        self._producer: Producer | None = None

    def transact(self, draw: Callable[[int], list[Draft]]) -> None:
        """One transaction; `draw` gives so many records."""
        records = draw(min(_MOST_RECORDS, 1 + int(self._dice.expovariate(1 / _MEAN_RECORDS))))
        (end,) = self._dice.choices(list(_ENDS), list(_ENDS.values()))
        self._write(records, end)
        if end not in {_COMMIT, "abort"}:
            time.sleep(self._dice.uniform(*_LEFT_OPEN_S))

    def end_with_markers(self, drafts: Iterable[list[Draft]]) -> None:
        """Leave nothing open, and behind all records the markers of ended transactions.

        `drafts` are tried until one transaction of them was committed and another one aborted.
        TimeoutError when that takes too long.
        """
        wanted = [_COMMIT, "abort"]
        deadline = time.monotonic() + _PATIENCE_S
        for records in drafts:
            if self._write(records, wanted[0]):
                wanted.pop(0)
            if not wanted:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_AGAIN_S)
        raise TimeoutError("the upstream could not end its transactions")

    def _write(self, records: list[Draft], end: str) -> bool:
        """Whether the transaction has ended as it should; it is not committed unless told so."""
        written: list[tuple[int, int, int]] = []
        try:
            producer = self._ready()
            producer.begin_transaction()
            for record in records:
                self._produce(producer, record, written)
            producer.flush(_STEP_S)
            if end == "abort":
                producer.abort_transaction(_STEP_S)
        except KafkaException:
            self._producer = None  # the next one aborts what this one left
            return False
        if end == _COMMIT:
            return self._commit(producer, written)
        if end != "abort":
            self._producer = None
        return True

    def _produce(
        self, producer: Producer, record: Draft, written: list[tuple[int, int, int]]
    ) -> None:
        def delivered(error: object, message: Any) -> None:
            if error is None:
                written.append((record.number, message.partition(), message.offset()))

        producer.produce(
            self._topic, record.value, record.key, record.partition, on_delivery=delivered
        )

    def _commit(self, producer: Producer, written: list[tuple[int, int, int]]) -> bool:
        tell, deadline = self._book.have, time.monotonic() + _PATIENCE_S
        while True:
            try:
                producer.commit_transaction(_STEP_S)
            except KafkaException as failure:
                error = failure.args[0]
                if error.retriable() and time.monotonic() < deadline:
                    continue
                self._producer = None
                if error.txn_requires_abort():
                    return False
                tell = self._book.unsure
            for each in written:
                tell(*each)
            return self._producer is not None

    def _ready(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._config)
            producer.init_transactions(_STEP_S)
            self._producer = producer
        return self._producer
