"""A seeded stream of raw records at a steady rate, and the ledger of what was done.

The ledger is a file that is only appended to: a line before a record is handed to the client (what
is intended), a line when the broker has acknowledged it (where it is). Beside it an upstream writes
records in transactions (`upstream.py`): they count as acknowledged when they are committed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from confluent_kafka import KafkaError, Producer

from pipeline.demo.generate import Generated, Generator
from tests.system.chaos.quiet import QUIET
from tests.system.chaos.upstream import Book, Draft, Upstream

_TICK_S: Final = 0.02
_TRANSACTION_EVERY_S: Final = 0.4
_TWO_HOURS_MS: Final = 7_200_000
_DELIVER_S: Final = 60.0
_INVALID_SHARE: Final = 0.03
_USERS: Final = 500


class Entry(NamedTuple):
    """What is known of one record."""

    events: int
    """Outcomes that it must have."""
    invalid: tuple[str, ...]
    """Reasons of those that must be dead letters."""
    digest: str
    """Of key and value."""


class Ledger:
    """The file, written by the load and read at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("a", encoding="ascii")
        self._lock = threading.Lock()

    def intend(self, number: int, entry: Entry) -> None:
        """A record will be handed to the client."""
        invalid = ",".join(entry.invalid) or "-"
        self._write(f"intend {number} {entry.events} {invalid} {entry.digest}\n")

    def acknowledge(self, number: int, partition: int, offset: int) -> None:
        """The broker has it."""
        self._write(f"have {number} {partition} {offset}\n")

    def doubt(self, number: int, partition: int, offset: int) -> None:
        """It was written in a transaction of which nobody knows whether it was committed."""
        self._write(f"doubt {number} {partition} {offset}\n")

    def _write(self, line: str) -> None:
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        """Everything is written."""
        self._file.close()

    def intended(self) -> dict[int, Entry]:
        """Number of the record → what was intended."""
        found = {}
        for number, events, invalid, digest in self._lines("intend"):
            reasons = () if invalid == "-" else tuple(invalid.split(","))
            found[int(number)] = Entry(int(events), reasons, digest)
        return found

    def acknowledged(self) -> dict[tuple[int, int], int]:
        """(partition, offset) → number of the record."""
        return self._places("have")

    def doubted(self) -> dict[tuple[int, int], int]:
        """The same of records that may have been committed."""
        return self._places("doubt")

    def _places(self, kind: str) -> dict[tuple[int, int], int]:
        return {(int(p), int(offset)): int(number) for number, p, offset in self._lines(kind)}

    def _lines(self, kind: str) -> Iterator[list[str]]:
        with self.path.open(encoding="ascii") as lines:
            for line in lines:
                first, *fields = line.split()
                if first == kind:
                    yield fields


def digest(key: bytes | None, value: bytes | None) -> str:
    """Of one record; a null value is no empty one."""
    text = repr(key).encode() + (b"\0" if value is None else b"\1" + value)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _records(seed: int, rate: int) -> Iterator[Generated]:
    return iter(
        Generator(
            seed,
            invalid_share=_INVALID_SHARE,
            users=_USERS,
            start=time.time_ns() // 1_000_000,
            interval_ms=1000 / rate,
        )
    )


class Load:
    """Two threads that write to the raw topic until they are stopped.

    One writes `rate` events a second, the other one transactions of random size beside them.
    """

    def __init__(  # noqa: PLR0917  made in one place
        self, servers: str, topic: str, partitions: int, seed: int, rate: int, ledger: Ledger
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._rate = rate
        self.ledger = ledger
        self._sent = 0
        self._in_transactions = 0
        self._records = _records(seed, rate)
        self._transactional = _records(seed + 1, rate)
        self._numbers = itertools.count(1)
        self._ends: dict[int, int] = {}
        self._only_valid = False
        self._future = 0
        self._stop = threading.Event()
        self._writing, self._transaction = threading.Lock(), threading.Lock()
        """Held by each of the threads while it writes."""
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                **QUIET,
            }
        )
        dice = random.Random(f"{seed} upstream")  # noqa: S311  sizes and ends, no secrets
        book = Book(self._acknowledge, ledger.doubt)
        self._upstream = Upstream(servers, topic, dice, book)
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("load", self._run), ("upstream", self._run_upstream))
        ]

    @property
    def events(self) -> int:
        """Handed to the clients until now."""
        return self._sent + self._in_transactions

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait until all that was intended is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._upstream.end_with_markers(self._last_drafts())
        self._flush()
        self.ledger.close()

    def _flush(self) -> None:
        unsent = self._producer.flush(_DELIVER_S)
        assert not unsent, f"{unsent} raw records were not acknowledged"

    def ends(self) -> dict[int, int]:
        """Partition → offset behind the last record that is acknowledged now."""
        return dict(self._ends)

    def only_valid(self, *, on: bool) -> None:
        """From now on leave out every record that has a dead letter."""
        with self._transaction:
            self._only_valid = on

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Meanwhile nothing is written, and nothing is open; markers are what was written last."""
        with self._writing, self._transaction:
            self._flush()
            self._upstream.end_with_markers(self._last_drafts())
            yield

    def send_future(self, records: int) -> None:
        """Let so many of the next records be two hours ahead."""
        self._future += records

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(_TICK_S):
            due = (time.monotonic() - began) * self._rate
            with self._writing:
                while self._sent < due and not self._stop.is_set():
                    record = next(self._records)
                    if not (self._only_valid and record.invalid):
                        self._send(record)
            self._producer.poll(0)

    def _send(self, record: Generated) -> None:
        number = self._intend(record)
        self._sent += record.events
        timestamp = time.time_ns() // 1_000_000
        if self._future:
            self._future -= 1
            timestamp += _TWO_HOURS_MS

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                self._acknowledge(number, message.partition(), message.offset())

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.value,
                    record.key,
                    timestamp=timestamp,
                    on_delivery=delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _intend(self, record: Generated) -> int:
        """Write down that a record will be written; its number."""
        number = next(self._numbers)
        entry = Entry(record.events, record.invalid, digest(record.key, record.value))
        self.ledger.intend(number, entry)
        return number

    def _acknowledge(self, number: int, partition: int, offset: int) -> None:
        self.ledger.acknowledge(number, partition, offset)
        self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def _run_upstream(self) -> None:
        while not self._stop.wait(_TRANSACTION_EVERY_S):
            with self._transaction:
                if not self._stop.is_set():
                    self._upstream.transact(self._draw)

    def _draw(self, count: int) -> list[Draft]:
        """So many records for a transaction, written down as intended."""
        drafts: list[Draft] = []
        while len(drafts) < count:
            record = next(self._transactional)
            if not (self._only_valid and record.invalid):
                drafts.append(Draft(record.value, record.key, self._intend(record)))
                self._in_transactions += record.events
        return drafts

    def _last_drafts(self) -> Iterator[list[Draft]]:
        """One record for each partition, again and again."""
        while True:
            yield [
                draft._replace(partition=number)
                for number, draft in enumerate(self._draw(self._partitions))
            ]
