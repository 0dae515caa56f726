"""The group consumer of a session: collects the records of one transaction.

Rules of this file
    What lives here: every call on the group's consumer, the rebalance callbacks, and which of the
    client's events mean what.
    What is forbidden: transactions, outputs and the meaning of records. Which position follows from
    which event is bookkeeping in `consumed_positions`; where a partition starts is decided in
    `start_offsets`, and what a missing offset means in `missing_offsets`.

The idea
    Rebalance callbacks run only inside `consume()`, and no transaction is open there. So a
    partition can be taken away only between two transactions. What was collected of it is dropped
    at once: its next owner reads it again, from the committed offset.

    Transaction markers and aborted records have offsets, but are never delivered. At the end of a
    partition the client reports the position behind all of them, as an event in the order of the
    records: everything before that position has been delivered, or never will be.

Guarantees
    A batch holds each record of the assigned partitions once and in order, starting at the
    committed offset. Its positions are behind those records and nothing else. Records deleted
    before they were read are reported as data loss, and never skipped silently.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.errors import OutcomeUnknownError, TransportError
from pipeline.kafka import error_codes
from pipeline.kafka.clients import is_cooperative
from pipeline.kafka.consumed_positions import ConsumedPositions
from pipeline.kafka.errors import LastClientError, in_transaction, is_fatal, reason, refusal
from pipeline.kafka.missing_offsets import deleted_unread
from pipeline.kafka.reader import UNREADABLE, to_record, unreadable
from pipeline.kafka.session_config import SessionConfig
from pipeline.kafka.start_offsets import StartOffsetPolicy, StartOffsets, created_anew
from pipeline.kafka.topic_ids import TopicIds
from pipeline.ports import Batch, Positions

_LARGEST_CHUNK: Final = 1000
"""Messages per call: the cost of a call no longer matters."""
_FIRST_CHUNK: Final = 50
"""Messages per call until the size of the records is known. 50 of Kafka's default maximum are 50
MB."""


_place: Final = itemgetter(5, 6)
"""Partition and offset of a Record."""


class GroupConsumer:
    """Reads batches with a group's consumer, and knows which partitions are assigned to it."""

    def __init__(  # noqa: PLR0913  made in one place
        self,
        consumer: Consumer,
        config: SessionConfig,
        start: StartOffsetPolicy,
        topic_ids: TopicIds,
        last_error: LastClientError,
        *,
        partitions: int,
    ) -> None:
        self._consumer = consumer
        self._topic = config.raw_topic
        self._limits = config.batch
        self._start = start
        self._topic_ids = topic_ids
        self._last_error = last_error
        with last_error.calling(f"asking for the id of topic {self._topic}"):
            self.topic_id = topic_ids.current()
        """Kafka's id of the raw topic when this session began; empty when unknown."""
        self._continue_on_data_loss = config.continue_on_data_loss
        self._timeout_s = config.startup_timeout_s
        self._partitions = partitions
        self._cooperative = is_cooperative(config.consumer)
        self._chunk = _FIRST_CHUNK
        self._collected: list[Message] = []
        self._positions = ConsumedPositions(self._topic)
        self._is_assigned = False
        self._revoked: set[int] = set()
        self._failure: Exception | None = None
        self._inherited: list[OffsetMetadata] = []
        self.closing = False
        """Whether further assignments are ignored, since asking for their offsets may take long."""
        self._lost = 0
        self._waited_s = 0.0
        self.next: Mapping[int, int] = self._positions.next
        """Positions behind what was collected, by assigned partition."""
        consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def collect(self) -> Batch:
        """Read until the batch is full by records, bytes or time."""
        if self._topic_ids.changed_from(self.topic_id):
            raise created_anew(self._topic, self._start.group)
        self._collected = []
        limits, size = self._limits, 0
        deadline = time.monotonic() + limits.linger_s
        left = limits.linger_s
        while left > 0 and size < limits.max_bytes and len(self._collected) < limits.max_records:
            room = min(self._chunk, limits.max_records - len(self._collected))
            size += self._take(room, left)
            left = deadline - time.monotonic()
        return self._batch()

    def _take(self, room: int, timeout_s: float) -> int:
        """Consume up to `room` messages, and return their size in bytes."""
        self._revoked.clear()
        started = time.monotonic()
        messages = self._consumer.consume(room, timeout_s)
        if len(messages) < room:  # it has waited for more until the timeout
            self._waited_s += time.monotonic() - started
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._last_error.fatal is not None:
            raise self._broken(self._last_error.fatal)
        if self._revoked:
            messages = self._without_revoked(messages)
        if self._positions.pending_seeks:
            messages = self._positions.after_seeks(messages)
        is_record = self._is_record
        good = [each for each in messages if each.error() is None or is_record(each)]
        size = sum(map(len, good))
        if good:
            fitting = self._limits.max_bytes * len(good) // max(1, size)
            self._chunk = max(1, min(_LARGEST_CHUNK, fitting))
        self._collected += good
        return size

    def _without_revoked(self, messages: list[Message]) -> list[Message]:
        """Drop messages that `consume` had fetched before their partition was revoked."""
        revoked = set(self._revoked)
        regained = revoked & set(self.next)
        # An error of the client as a whole has no topic, and a partition number of 0.
        of_client = [message for message in messages if message.topic() is None]
        messages = [message for message in messages if message.topic() is not None]
        if regained and any(message.partition() in revoked for message in messages):
            # Messages from before and after the loss can't be told apart. So the partitions are
            # read again from where they were assigned. Not by a seek, whose loss would go unnoticed
            # here.
            self._assign_again({number: self.next[number] for number in regained})
            if not self._cooperative:
                return of_client  # The whole assignment was replaced: all messages arrive again.
        return of_client + [each for each in messages if each.partition() not in revoked]

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == error_codes.PARTITION_EOF:
            self._positions.ends[message.partition() or 0] = message.offset() or 0
            return False
        if error.code() in error_codes.OFFSET_GONE:
            self._lost_offsets(message)
            return False
        known = self._refusal(error)
        if known is not None:
            raise known
        if error.code() in UNREADABLE:
            raise unreadable(message, error)
        if is_fatal(error):
            raise self._broken(error)
        # The client recovers from all other errors. If it does not, the next call reports it.
        self._last_error(error)
        return False

    def _refusal(self, error: KafkaError) -> TransportError | None:
        return refusal(error, f"reading topic {self._topic}", group=self._start.group)

    def _broken(self, error: KafkaError) -> TransportError:
        return self._refusal(error) or OutcomeUnknownError(f"the consumer failed: {reason(error)}")

    def _lost_offsets(self, message: Message) -> None:
        """Handle a next offset that is gone: stop, or continue from the first remaining one."""
        number = message.partition() or 0
        if number not in self.next:
            return  # the client also reports partitions that were revoked meanwhile
        place = TopicPartition(self._topic, number)
        with self._last_error.calling(f"asking which offsets {self._topic}/{number} still has"):
            low, high = self._consumer.get_watermark_offsets(place, timeout=self._timeout_s)
        wanted = self._positions.lost_position(number, message.offset() or 0, high)
        self._lost += deleted_unread(
            place, wanted, low, high, continues=self._continue_on_data_loss
        )
        self._positions.resume_at[number] = low

    def _assign_again(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets.

        An eager assignment is replaced as a whole. Everything collected of other partitions must be
        counted in `next` before, or it would be read twice.
        """
        self._positions.next |= offsets
        places = [TopicPartition(self._topic, number, at) for number, at in offsets.items()]
        if self._cooperative:
            self._consumer.incremental_unassign(places)
            self._consumer.incremental_assign(places)
        else:
            self._consumer.assign(
                [TopicPartition(self._topic, held, at) for held, at in self.next.items()]
            )

    def _batch(self) -> Batch:
        records = [to_record(message) for message in self._collected]
        self._collected = []
        last = dict(map(_place, records))
        positions = self._positions.advance(last)
        if self._positions.resume_at:
            # A partition whose offset was gone can't be sought, only assigned anew.
            self._assign_again(self._positions.resume_at)
            self._positions.resume_at = {}
        inherited, self._inherited = self._inherited, []
        lost, self._lost = self._lost, 0
        waited_s, self._waited_s = self._waited_s, 0.0
        return Batch(records, positions, inherited, lost, waited_s)

    def rewind(self, batch: Batch) -> None:
        """Read the batch again: seek in each of its partitions that is still assigned."""
        firsts: dict[int, int] = {}
        for record in batch.records:
            firsts.setdefault(record.partition, record.offset)
        for number, offset in self._positions.rewind(batch, firsts).items():
            try:
                self._consumer.seek(TopicPartition(self._topic, number, offset))
            except KafkaException as error:
                raise OutcomeUnknownError(f"could not seek {self._topic}/{number}") from error

    def pause(self, seconds: float) -> None:
        """Stay a member without reading.

        What still arrives is dropped, since none of it is committed.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._consumer.pause(self._consumer.assignment())
            self._take(1, left)
            self._collected.clear()
            self._positions.ends.clear()

    def committed(self, positions: Positions) -> None:
        """Note committed positions."""
        self._positions.committed |= {number: at for (_, number), at in positions.items()}

    def done(self) -> Mapping[int, int] | None:
        """Return the committed positions of the assigned partitions; None before an assignment."""
        return self._positions.committed if self._is_assigned else None

    # The callbacks run inside consume() and never raise: an exception there would lose the messages
    # that consume() has already fetched. The failure is raised after it.

    def _on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        if self.closing:
            return
        try:
            self._refuse_new_partitions(partitions)
            start = self._start_of(partitions) if partitions else StartOffsets([], [], [])
            self._positions.assign(start)
            self._is_assigned = True
            self._inherited += start.notes
            assign = consumer.incremental_assign if self._cooperative else consumer.assign
            assign(start.places)
        except KafkaException as error:
            what = f"reading the offsets of topic {self._topic}"
            self._failure = in_transaction(error, what, group=self._start.group)
        except TransportError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001  see above
            self._failure = OutcomeUnknownError(f"a rebalance failed: {error!r}")

    def _refuse_new_partitions(self, partitions: Sequence[TopicPartition]) -> None:
        """Restart the session when the topic has grown: output partitions depend on its size."""
        grown = [place.partition for place in partitions if place.partition >= self._partitions]
        if grown:
            raise OutcomeUnknownError(
                f"topic {self._topic} has more partitions than the {self._partitions} at the start "
                "of this session: starting again, so that outputs go to the right partitions"
            )

    def _start_of(self, partitions: Sequence[TopicPartition]) -> StartOffsets:
        with self._last_error.calling(f"finding out where to start in topic {self._topic}"):
            return self._start.resolve(self._consumer, partitions, self.topic_id)

    def _on_revoke(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        try:
            gone = {place.partition for place in partitions}
            self._revoked |= gone
            self._collected = [
                message for message in self._collected if message.partition() not in gone
            ]
            self._positions.revoke(gone)
            self._is_assigned = bool(self.next)
        except Exception as error:  # noqa: BLE001  see above
            self._failure = OutcomeUnknownError(f"a rebalance failed: {error!r}")
