"""A seeded stream of raw records at a steady rate, and the ledger of what was done.

The ledger is a file that is only appended to: a line before a record is handed to the client (what
is intended), a line when the broker has acknowledged it (where it is). Now and then records are
written in a transaction that is aborted: nobody may ever see those.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.generate import Generated, Generator
from tests.chaos.quiet import QUIET

_TICK_S: Final = 0.02
_ABORT_EVERY_S: Final = 1.5
_ABORTED_RECORDS: Final = 3
_TWO_HOURS_MS: Final = 7_200_000
_STEP_S: Final = 5.0
_DELIVER_S: Final = 60.0
_ABORTED: Final = b'{"type":"track","event":"Aborted","userId":"a","messageId":"aborted-%d"}'


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
        return {(int(p), int(offset)): int(number) for number, p, offset in self._lines("have")}

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


class Load:
    """A thread that writes `rate` events a second to the raw topic until it is stopped."""

    def __init__(self, servers: str, topic: str, seed: int, rate: int, ledger: Ledger) -> None:
        self._topic = topic
        self._rate = rate
        self.ledger = ledger
        self.events = 0
        """Handed to the client until now."""
        self.aborted = 0
        """Records that were written in transactions which were aborted."""
        self._records = iter(
            Generator(
                seed,
                invalid_share=0.03,
                users=500,
                start=time.time_ns() // 1_000_000,
                interval_ms=1000 / rate,
            )
        )
        self._number = 0
        self._ends: dict[int, int] = {}
        self._only_valid = False
        self._future = 0
        self._stop = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                **QUIET,
            }
        )
        self._aborter = Aborter(servers, topic, seed)
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("load", self._run), ("aborted load", self._run_aborter))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait until all that was intended is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        unsent = self._producer.flush(_DELIVER_S)
        assert not unsent, f"{unsent} raw records were not acknowledged"
        self.ledger.close()

    def ends(self) -> dict[int, int]:
        """Partition → offset behind the last record that is acknowledged now."""
        return dict(self._ends)

    def only_valid(self, *, on: bool) -> None:
        """From now on leave out every record that has a dead letter."""
        self._only_valid = on

    def send_future(self, records: int) -> None:
        """Let so many of the next records be two hours ahead."""
        self._future += records

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(_TICK_S):
            due = (time.monotonic() - began) * self._rate
            while self.events < due and not self._stop.is_set():
                record = next(self._records)
                if not (self._only_valid and record.invalid):
                    self._send(record)
            self._producer.poll(0)

    def _send(self, record: Generated) -> None:
        self._number += 1
        number = self._number
        self.events += record.events
        entry = Entry(record.events, record.invalid, digest(record.key, record.value))
        self.ledger.intend(number, entry)
        timestamp = time.time_ns() // 1_000_000
        if self._future:
            self._future -= 1
            timestamp += _TWO_HOURS_MS

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                partition, offset = message.partition(), message.offset()
                self.ledger.acknowledge(number, partition, offset)
                self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

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

    def _run_aborter(self) -> None:
        while not self._stop.wait(_ABORT_EVERY_S):
            self.aborted += self._aborter.write()


class Aborter:
    """Writes records in transactions and aborts them."""

    def __init__(self, servers: str, topic: str, seed: int) -> None:
        self._config = {
            "bootstrap.servers": servers,
            "transactional.id": f"aborter.{topic}",
            "transaction.timeout.ms": 5000,
            **QUIET,
        }
        self._topic = topic
        self._number = seed
        self._producer: Producer | None = None

    def write(self) -> int:
        """One transaction; how many records were written and aborted for sure."""
        try:
            if self._producer is None:
                self._producer = Producer(self._config)
                self._producer.init_transactions(_STEP_S)
            self._producer.begin_transaction()
            delivered = Counter[bool]()
            for _ in range(_ABORTED_RECORDS):
                self._number += 1
                value = _ABORTED % self._number
                self._producer.produce(
                    self._topic,
                    value,
                    on_delivery=lambda error, _: delivered.update([error is None]),
                )
            self._producer.flush(_STEP_S)
            self._producer.abort_transaction(_STEP_S)
        except KafkaException:
            self._producer = None  # the next one aborts what this one left
            return 0
        return delivered[True]
