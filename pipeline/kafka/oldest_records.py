"""Finds the Kafka timestamp of the oldest record that a group has not committed.

Offsets alone do not say whether a record waits. Transaction markers have offsets, and so do aborted
records and those that compaction or retention deleted. So the first record behind the position is
read, by consumers that join no group: one small fetch per partition, and none again while the same
record is the oldest.

Guarantees
    A record waits once it is written, committed or not: records of an open transaction count too.
    Markers and aborted records don't count once their transaction has ended. When only such are
    behind the position, nothing waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from pipeline.kafka import error_codes
from pipeline.kafka.clients import LibrdkafkaConfig, make_consumer
from pipeline.kafka.errors import LastClientError, refusal
from pipeline.kafka.reader import UNREADABLE, reader_config, taken, to_record

_ANSWER_S: Final = 5.0
"""Time limit of one pass over the partitions, which those without a leader use up. Usually it takes
20 ms, or a second: the client's broker threads notice new assignments only so often."""
_KEPT_S: Final = 60.0
"""How long the same record is taken for the oldest one. Retention or compaction may delete it."""
_COMMITTED: Final = "read_committed"
_UNCOMMITTED: Final = "read_uncommitted"


class _OldestRecord(NamedTuple):
    """What is behind the position of a partition."""

    position: int
    at: int
    """Offset of the oldest record; when there is none, the end of what can be read."""
    timestamp: int | None
    """None when there is no record."""
    until: float
    """Until when this is taken for true."""

    def covers(self, position: int | None, now: float) -> bool:
        """Return whether the same record is the oldest one behind another position."""
        return position is not None and self.position <= position <= self.at and now < self.until


class OldestRecords:
    """Finds the oldest waiting records of one topic. For one thread; has up to two consumers."""

    def __init__(
        self,
        kafka: LibrdkafkaConfig,
        topic: str,
        *,
        answer_s: float = _ANSWER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = reader_config(kafka) | {
            # A position below the first remaining offset continues there.
            "auto.offset.reset": "earliest",
            # One batch per partition is enough. A larger one is fetched all the same.
            "fetch.message.max.bytes": 16_384,
            "queued.min.messages": 1,
        }
        self._topic = topic
        self._answer_s = answer_s
        self._clock = clock
        self._consumers: dict[str, Consumer] = {}
        self._kept: dict[int, _OldestRecord] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the clients."""
        self.close()

    def close(self) -> None:
        """Release the clients."""
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()

    def timestamps(self, positions: Mapping[int, int]) -> dict[int, int | None]:
        """Return the oldest record's timestamp by partition, epoch ms; None when nothing waits.

        `positions` maps partitions to the offsets that the group has committed. A partition is left
        out while nothing is known about it: it has no leader, does not answer in time, ends before
        the position, or its records have no timestamps. Raises RefusedError when the topic may not
        be read.
        """
        now = self._clock()
        kept = {n: each for n, each in self._kept.items() if each.covers(positions.get(n), now)}
        waiting = {n: each for n, each in kept.items() if each.timestamp is not None}
        # Where nothing could be read up to some offset, reading goes on from there.
        asked = {n: kept[n].at if n in kept else position for n, position in positions.items()}
        found, behind = self._pass(_COMMITTED, {n: asked[n] for n in asked if n not in waiting})
        found = {
            n: each._replace(position=kept[n].position) if n in kept else each
            for n, each in found.items()
        }
        self._kept = waiting | found
        # What an open transaction has written waits, but is not kept: it may be aborted.
        written, _ = self._pass(_UNCOMMITTED, behind)
        answers = waiting | {n: each for n, each in found.items() if n not in behind} | written
        return {number: each.timestamp for number, each in answers.items()}

    def _pass(
        self, isolation: str, positions: Mapping[int, int]
    ) -> tuple[dict[int, _OldestRecord], dict[int, int]]:
        """Read each partition's first record, as far as it arrives in time.

        Return also where records begin that can't be read yet, since their transaction is open.
        """
        if not positions:
            return {}, {}
        consumer = self._consumer(isolation)
        places = [TopicPartition(self._topic, *place) for place in positions.items()]
        consumer.assign(places)
        consumer.resume(places)  # a pause outlives the assignment
        reading = _FirstRecords(consumer, self._topic, positions, self._clock() + _KEPT_S)
        deadline = self._clock() + self._answer_s
        try:
            while reading.open and self._clock() < deadline:
                for message in taken(consumer):
                    reading.take(message)
        finally:
            consumer.unassign()
        return reading.found, reading.behind

    def _consumer(self, isolation: str) -> Consumer:
        if isolation not in self._consumers:
            config = self._config | {"isolation.level": isolation}
            self._consumers[isolation] = make_consumer(config, LastClientError())
        return self._consumers[isolation]


class _FirstRecords:
    """The first records of assigned partitions, collected from what the consumer receives."""

    def __init__(
        self, consumer: Consumer, topic: str, positions: Mapping[int, int], until: float
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._until = until
        self._untimed: set[int] = set()
        """Partitions whose oldest record has no timestamp: a later one's is taken instead."""
        self.open = dict(positions)
        """Positions of the partitions that are not answered yet."""
        self.found: dict[int, _OldestRecord] = {}
        self.behind: dict[int, int] = {}
        """End of what can be read, of partitions that have records behind it."""

    def take(self, message: Any) -> None:  # noqa: ANN401  the stubs allow None where there is none
        """Note a record, an end, or an error."""
        error, number = message.error(), message.partition()
        if error is not None:
            known = refusal(error, f"reading topic {self._topic}")
            if known is not None:
                raise known
        if number not in self.open:
            return
        if error is None:
            self._record(number, message.offset(), to_record(message).timestamp)
        elif error.code() == error_codes.PARTITION_EOF:
            self._end(number, message.offset())
        elif error.code() in UNREADABLE:
            self._answered(number)

    def _record(self, number: int, offset: int, timestamp: int | None) -> None:
        position = self.open[number]
        if timestamp is None or timestamp < 0:
            self._untimed.add(number)
            return
        self._answered(number)
        # Before the position, there is no offset like it: the topic was truncated or created again.
        if offset >= position:
            self.found[number] = _OldestRecord(position, offset, timestamp, self._until)

    def _end(self, number: int, offset: int) -> None:
        position = self.open[number]
        self._answered(number)
        if offset < position or number in self._untimed:
            return
        self.found[number] = _OldestRecord(position, offset, None, self._until)
        _, end = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, number), cached=True
        )
        if end > offset:
            self.behind[number] = offset

    def _answered(self, number: int) -> None:
        """Fetch no more of a partition."""
        del self.open[number]
        self._consumer.pause([TopicPartition(self._topic, number)])
