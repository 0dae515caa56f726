"""A reader that looks on during the chaos: what it saw must be what one sees who reads afterwards.

It reads committed records only. A record that it saw and that is gone later, or is another one
later, was never safe to act upon.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tests.brokers import read_topic
from tests.system.chaos.operator import Operator
from tests.system.chaos.quiet import QUIET

_CHUNK: Final = 500
_WAIT_S: Final = 0.1
_CATCH_UP_S: Final = 60.0


class Seen(NamedTuple):
    """One record: where it stood, and what it was."""

    offset: int
    content: int
    """A hash of key and value, which is the same within this process."""


class Witness:
    """Reads topics from their beginning, in a thread, until it is stopped."""

    def __init__(self, operator: Operator, servers: str) -> None:
        self._operator = operator
        self._servers = servers
        self._seen: dict[tuple[str, int], list[Seen]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._consumer = self._new_consumer()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def _new_consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "chaos.witness",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                **QUIET,
            }
        )

    def follow(self, topic: str, partitions: int) -> None:
        """Read a topic from now on, from its beginning."""
        with self._lock:
            self._seen |= {(topic, number): [] for number in range(partitions)}
            self._assign()

    def forget(self, topic: str) -> None:
        """Read a topic no more."""
        with self._lock:
            self._seen = {place: seen for place, seen in self._seen.items() if place[0] != topic}
            self._assign()

    def _assign(self) -> None:
        places = [
            TopicPartition(topic, number, seen[-1].offset + 1 if seen else 0)
            for (topic, number), seen in self._seen.items()
        ]
        # One that knew a topic which was deleted may ask for it by its old id for minutes.
        self._consumer.close()
        self._consumer = self._new_consumer()
        self._consumer.assign(places)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock, contextlib.suppress(KafkaException, RuntimeError):
                for message in self._consumer.consume(_CHUNK, _WAIT_S) if self._seen else ():
                    self._see(message)
            time.sleep(0.001)  # let others have the lock

    def _see(self, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        seen = self._seen.get((topic, partition))
        if message.error() is None and seen is not None:
            seen.append(Seen(offset, hash((message.key(), message.value()))))

    def disagreement(self, topic: str) -> str | None:
        """Wait until it has seen all of a topic; the first difference to what is there now."""
        there = _read(self._servers, topic)
        self._catch_up(topic, there)
        with self._lock:
            for place, seen in self._seen.items():
                if place[0] == topic and (found := difference(seen, there.get(place[1], []))):
                    return f"{topic}/{place[1]}: {found}"
        return None

    def _catch_up(self, topic: str, there: Mapping[int, list[Seen]]) -> None:
        deadline = time.monotonic() + _CATCH_UP_S
        while time.monotonic() < deadline:
            with self._lock:
                behind = any(
                    not (seen := self._seen[topic, number]) or seen[-1].offset < last[-1].offset
                    for number, last in there.items()
                )
            if not behind:
                return
            time.sleep(_WAIT_S)

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def _read(servers: str, topic: str) -> dict[int, list[Seen]]:
    found: dict[int, list[Seen]] = {}
    for record in read_topic(servers, topic):
        content = hash((record.key, record.value))
        found.setdefault(record.partition, []).append(Seen(record.offset, content))
    return found


def difference(seen: list[Seen], there: list[Seen]) -> str | None:
    """What one partition held during the chaos and afterwards: the first difference."""
    for during, after in zip(seen, there, strict=False):
        if during != after:
            return (
                f"offset {during.offset} was seen during the chaos, now {after.offset} stands here"
            )
    if len(seen) != len(there):
        return f"{len(seen)} records were seen during the chaos, {len(there)} are there now"
    return None
