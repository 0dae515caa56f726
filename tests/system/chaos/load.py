"""Writes raw records at a steady rate, reproducibly by seed, and keeps a ledger of them.

The ledger is an append-only file. It gets a line before a record is handed to the client (what is
intended), and another one when the broker has acknowledged it (its position). A second thread
writes records in transactions (`upstream.py`); these count as acknowledged when committed.
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
from tests.system.chaos.client_logging import SILENT
from tests.system.chaos.upstream import Draft, OnWritten, Upstream

_TICK_S: Final = 0.02
_TRANSACTION_EVERY_S: Final = 0.4
_TWO_HOURS_MS: Final = 7_200_000
_DELIVER_S: Final = 60.0
_INVALID_SHARE: Final = 0.03
_USERS: Final = 500


class Entry(NamedTuple):
    """What the ledger says about one record."""

    events: int
    """Number of outcomes that it must have."""
    invalid: tuple[str, ...]
    """Reasons of the outcomes that must be dead letters."""
    digest: str
    """Hash of key and value."""


class Ledger:
    """A file that the load appends to, and that is read at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("a", encoding="ascii")
        self._lock = threading.Lock()

    def intend(self, number: int, entry: Entry) -> None:
        """Note a record that will be handed to the client."""
        invalid = ",".join(entry.invalid) or "-"
        self._write(f"intend {number} {entry.events} {invalid} {entry.digest}\n")

    def acknowledge(self, number: int, partition: int, offset: int) -> None:
        """Note the position of a record that the broker has."""
        self._write(f"acknowledged {number} {partition} {offset}\n")

    def leave_undecided(self, number: int, partition: int, offset: int) -> None:
        """Note the position of a record in a transaction that may or may not be committed."""
        self._write(f"undecided {number} {partition} {offset}\n")

    def _write(self, line: str) -> None:
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def intended(self) -> dict[int, Entry]:
        """Number of a record → what was intended."""
        found = {}
        for number, events, invalid, digest in self._lines("intend"):
            reasons = () if invalid == "-" else tuple(invalid.split(","))
            found[int(number)] = Entry(int(events), reasons, digest)
        return found

    def acknowledged(self) -> dict[tuple[int, int], int]:
        """Partition and offset → number of the record."""
        return self._positions("acknowledged")

    def undecided(self) -> dict[tuple[int, int], int]:
        """Partition and offset → number of a record that may or may not be committed."""
        return self._positions("undecided")

    def _positions(self, kind: str) -> dict[tuple[int, int], int]:
        return {(int(p), int(offset)): int(number) for number, p, offset in self._lines(kind)}

    def _lines(self, kind: str) -> Iterator[list[str]]:
        with self.path.open(encoding="ascii") as lines:
            for line in lines:
                first, *fields = line.split()
                if first == kind:
                    yield fields


def digest(key: bytes | None, value: bytes | None) -> str:
    """Hash of a record; a null value and an empty one differ."""
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

    One writes `rate` events per second, the other one transactions of random size.
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
        """Locks that each thread holds while it writes."""
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                **SILENT,
            }
        )
        rng = random.Random(f"{seed} upstream")  # noqa: S311  sizes and ends, no secrets
        on_written = OnWritten(self._acknowledge, ledger.leave_undecided)
        self._upstream = Upstream(servers, topic, rng, on_written)
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("load", self._run), ("upstream", self._run_upstream))
        ]

    @property
    def events(self) -> int:
        """Number of events handed to the clients until now."""
        return self._sent + self._in_transactions

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop, and wait until everything that was intended is acknowledged."""
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
        """Partition → offset behind the last record that is acknowledged by now."""
        return dict(self._ends)

    def only_valid(self, *, on: bool) -> None:
        """Leave out records with invalid events from now on, or stop doing so."""
        with self._transaction:
            self._only_valid = on

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Write nothing meanwhile; no transaction is open, and each log ends with a marker."""
        with self._writing, self._transaction:
            self._flush()
            self._upstream.end_with_markers(self._last_drafts())
            yield

    def send_future(self, records: int) -> None:
        """Set the timestamps of the next records two hours ahead."""
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
        """Enter a record into the ledger; returns its number."""
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
        """Take records for a transaction, and enter them into the ledger."""
        drafts: list[Draft] = []
        while len(drafts) < count:
            record = next(self._transactional)
            if not (self._only_valid and record.invalid):
                drafts.append(Draft(record.value, record.key, self._intend(record)))
                self._in_transactions += record.events
        return drafts

    def _last_drafts(self) -> Iterator[list[Draft]]:
        """Yield lists with one record for each partition, without end."""
        while True:
            yield [
                draft._replace(partition=number)
                for number, draft in enumerate(self._draw(self._partitions))
            ]
