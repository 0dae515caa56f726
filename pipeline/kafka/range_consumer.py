"""The consumer of a replay: assigned partitions, each from its position to a fixed end.

Not every offset has a record: transaction markers, aborted records and compacted ones have none. So
a range is complete when its position has reached its end, whatever the last record was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.core.record import Record
from pipeline.errors import DataLossError, OutcomeUnknownError, TransportError
from pipeline.kafka import error_codes
from pipeline.kafka.errors import LastClientError, in_transaction, is_fatal, reason
from pipeline.kafka.reader import UNREADABLE, to_record, unreadable
from pipeline.kafka.replay_config import SlotConfig

_CHUNK: Final = 1000


class RangeConsumer:
    """Reads batches, and knows how far each partition is."""

    def __init__(self, consumer: Consumer, config: SlotConfig, last_error: LastClientError) -> None:
        self._consumer = consumer
        self._config = config
        self._topic = config.session.raw_topic
        self._last_error = last_error
        self._ends = {number: end for number, (_, end) in config.ranges.items()}
        self._open: set[int] = set()
        self.reached: dict[int, int] = {}
        """Next offsets by partition. Everything before was collected or left out."""
        self.left_out = 0
        """Number of records read since `start` that the replay does not select."""
        self._records: list[Record] = []
        self._size = 0

    @property
    def is_done(self) -> bool:
        """Whether every partition has reached its end."""
        return not self._open

    def start(self, positions: Mapping[int, int]) -> None:
        """Read from these positions, and forget what was read before."""
        self.reached = dict(positions)
        self.left_out = 0
        self._open = {number for number, at in positions.items() if at < self._ends[number]}
        self._consumer.assign(
            [TopicPartition(self._topic, number, positions[number]) for number in self._open]
        )

    def collect(self, max_records: int) -> list[Record]:
        """Read until `max_records` records are selected, or the batch is full by bytes or time."""
        self._records, self._size = [], 0
        limits = self._config.session.batch
        deadline = time.monotonic() + limits.linger_s
        while self._open and len(self._records) < max_records and self._size < limits.max_bytes:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            # Never more than is wanted: what was consumed can't be given back to the client.
            room = min(_CHUNK, max_records - len(self._records))
            self._take(self._consumer.consume(room, left))
            if self._last_error.fatal is not None:
                raise self._failure(self._last_error.fatal)
        return self._records

    def _take(self, messages: Sequence[Message]) -> None:
        """Sort messages into records and events. This is the hot path: one iteration per record."""
        ends, reached, selects = self._ends, self.reached, self._config.selects
        message: Any  # the stubs allow None where a record read from Kafka has none
        for message in messages:
            error = message.error()
            if error is not None:
                self._event(error, message)
                continue
            number, offset = message.partition(), message.offset()
            if number not in self._open:
                continue  # fetched before the partition was paused
            end = ends[number]
            if offset < end:
                self._size += len(message)
                record = to_record(message)
                if selects is None or selects(record):
                    self._records.append(record)
                else:
                    self.left_out += 1
                reached[number] = offset + 1
            if offset + 1 >= end:
                self._pass(number, offset + 1)

    def _event(self, error: KafkaError, message: Message) -> None:
        number = message.partition() or 0
        if error.code() == error_codes.PARTITION_EOF:
            self._pass(number, message.offset() or 0)
        elif error.code() in error_codes.OFFSET_GONE:
            raise self._gone(number)
        elif error.code() in UNREADABLE:
            raise unreadable(message, error)
        elif is_fatal(error) or error.code() in _TOLD:
            raise self._failure(error)
        else:
            self._last_error(error)  # the client recovers from it

    def _pass(self, number: int, position: int) -> None:
        """Note that everything before this position is known."""
        if number not in self._open:
            return
        end = self._ends[number]
        self.reached[number] = min(end, max(position, self.reached[number]))
        if position >= end:
            self._open.discard(number)
            self._consumer.pause([TopicPartition(self._topic, number)])

    def _gone(self, number: int) -> DataLossError:
        at = self.reached.get(number, -1)
        return DataLossError(
            f"{self._topic}/{number}: the offsets from {at} on were deleted before they were "
            "replayed (retention), and whether they held records can't be determined any more. "
            "What was committed stays; start a new replay of what is left"
        )

    def _failure(self, error: KafkaError) -> TransportError:
        what = f"reading topic {self._topic}"
        if is_fatal(error):
            return OutcomeUnknownError(f"the consumer failed: {reason(error)}")
        return in_transaction(KafkaException(error), what, group=self._config.session.group)


_TOLD: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        error_codes.UNKNOWN_TOPIC,
        error_codes.UNKNOWN_PARTITION,
    }
)
"""Errors that don't resolve themselves."""
