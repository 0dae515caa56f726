"""A transactional producer upstream of the raw topic.

Most of its transactions are committed, some are aborted. Now and then one is left open, until the
next producer with the same transactional id aborts it. Only committed records count.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, Producer

from tests.system.chaos.client_logging import SILENT

_STEP_S: Final = 5.0
_TIMEOUT_S: Final = 60.0
_MEAN_RECORDS: Final = 20
_MOST_RECORDS: Final = 300
_LEFT_OPEN_S: Final = (0.2, 2.0)
_COMMIT: Final = "commit"
_ENDS: Final = {_COMMIT: 6, "abort": 3, "left open": 1}
"""Ways in which a transaction ends, with their weights."""
_AGAIN_S: Final = 0.2


class Draft(NamedTuple):
    """One record to write."""

    value: bytes | None
    key: bytes | None
    number: int = 0
    """Number of the record in the ledger."""
    partition: int = -1
    """-1 lets the client choose."""


class OnWritten(NamedTuple):
    """Callbacks for a record that was written; they take its number, partition and offset."""

    committed: Callable[[int, int, int], None]
    undecided: Callable[[int, int, int], None]
    """Called when the outcome of the transaction is unknown."""


class Upstream:
    """Uses one producer at a time; a new one aborts what the one before left open."""

    def __init__(self, servers: str, topic: str, rng: random.Random, on_written: OnWritten) -> None:
        self._config = {
            "bootstrap.servers": servers,
            "transactional.id": f"upstream.{topic}",
            "transaction.timeout.ms": 10_000,
            **SILENT,
        }
        self._topic = topic
        self._dice = rng
        self._on_written = on_written
        self._producer: Producer | None = None

    def transact(self, draw: Callable[[int], list[Draft]]) -> None:
        """Do one transaction with records from `draw`, which takes their number."""
        records = draw(min(_MOST_RECORDS, 1 + int(self._dice.expovariate(1 / _MEAN_RECORDS))))
        (end,) = self._dice.choices(list(_ENDS), list(_ENDS.values()))
        self._write(records, end)
        if end not in {_COMMIT, "abort"}:
            time.sleep(self._dice.uniform(*_LEFT_OPEN_S))

    def end_with_markers(self, drafts: Iterable[list[Draft]]) -> None:
        """Commit one transaction and abort another, so that each log ends with a marker.

        Takes one list of `drafts` for each attempt. TimeoutError when that takes too long.
        """
        ends = [_COMMIT, "abort"]
        deadline = time.monotonic() + _TIMEOUT_S
        for records in drafts:
            if self._write(records, ends[0]):
                ends.pop(0)
            if not ends:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_AGAIN_S)
        raise TimeoutError("the upstream could not end its transactions")

    def _write(self, records: list[Draft], end: str) -> bool:
        """Do one transaction; returns whether it ended as requested."""
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
            self._producer = None  # the next one aborts what this one left open
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
        notify, deadline = self._on_written.committed, time.monotonic() + _TIMEOUT_S
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
                notify = self._on_written.undecided
            for each in written:
                notify(*each)
            return self._producer is not None

    def _ready(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._config)
            producer.init_transactions(_STEP_S)
            self._producer = producer
        return self._producer
