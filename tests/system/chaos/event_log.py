"""A log of the output records that a live reader received during the run.

The reader uses read_committed. A record that it received, and that is missing or different
afterwards, was never safe to act upon.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tests.brokers import read_topic
from tests.system.chaos.client_logging import SILENT

_CHUNK: Final = 500
_WAIT_S: Final = 0.1
_CATCH_UP_S: Final = 60.0


class LoggedRecord(NamedTuple):
    """The offset of a record, and what it contained."""

    offset: int
    content: int
    """A hash of key and value; comparable within this process only."""


class EventLog:
    """Reads topics from their beginning in a thread, until it is stopped."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._logged: dict[tuple[str, int], list[LoggedRecord]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._consumer = self._new_consumer()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def _new_consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "chaos.event-log",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                **SILENT,
            }
        )

    def follow(self, topic: str, partitions: int) -> None:
        """Start to log a topic, from its beginning."""
        with self._lock:
            self._logged |= {(topic, number): [] for number in range(partitions)}
            self._assign()

    def unfollow(self, topic: str) -> None:
        """Stop logging a topic and discard what was logged."""
        with self._lock:
            self._logged = {key: log for key, log in self._logged.items() if key[0] != topic}
            self._assign()

    def _assign(self) -> None:
        positions = [
            TopicPartition(topic, number, log[-1].offset + 1 if log else 0)
            for (topic, number), log in self._logged.items()
        ]
        # A client that knew a deleted topic may ask for it by its old topic id for minutes.
        self._consumer.close()
        self._consumer = self._new_consumer()
        self._consumer.assign(positions)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock, contextlib.suppress(KafkaException, RuntimeError):
                for message in self._consumer.consume(_CHUNK, _WAIT_S) if self._logged else ():
                    self._append(message)
            time.sleep(0.001)  # lets other threads take the lock

    def _append(self, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        log = self._logged.get((topic, partition))
        if message.error() is None and log is not None:
            log.append(LoggedRecord(offset, hash((message.key(), message.value()))))

    def mismatch(self, topic: str) -> str | None:
        """The first difference between the log and the topic as it is now, or None.

        Waits until the reader has caught up with the topic.
        """
        stored = _read(self._servers, topic)
        self._catch_up(topic, stored)
        with self._lock:
            for key, log in self._logged.items():
                if key[0] == topic and (found := difference(log, stored.get(key[1], []))):
                    return f"{topic}/{key[1]}: {found}"
        return None

    def _catch_up(self, topic: str, stored: Mapping[int, list[LoggedRecord]]) -> None:
        deadline = time.monotonic() + _CATCH_UP_S
        while time.monotonic() < deadline:
            with self._lock:
                behind = any(
                    not (log := self._logged[topic, number]) or log[-1].offset < last[-1].offset
                    for number, last in stored.items()
                )
            if not behind:
                return
            time.sleep(_WAIT_S)

    def stop(self) -> None:
        """Stop the thread and close the consumer."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def _read(servers: str, topic: str) -> dict[int, list[LoggedRecord]]:
    found: dict[int, list[LoggedRecord]] = {}
    for record in read_topic(servers, topic):
        content = hash((record.key, record.value))
        found.setdefault(record.partition, []).append(LoggedRecord(record.offset, content))
    return found


def difference(logged: list[LoggedRecord], stored: list[LoggedRecord]) -> str | None:
    """The first difference between one partition's log and its records, or None."""
    for during, after in zip(logged, stored, strict=False):
        if during != after:
            return f"offset {during.offset} was read during the run, {after.offset} is there now"
    if len(logged) != len(stored):
        return f"{len(logged)} records were read during the run, {len(stored)} are there now"
    return None
