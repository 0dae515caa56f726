"""Bugs built into the worker on purpose: a suite that does not detect them proves nothing.

Each is a classic mistake of programs that promise exactly-once delivery. It is put into the real
program by replacing a method.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pipeline.core.counts import OutcomeCounts
from pipeline.core.offset_metadata import OffsetMetadata
from pipeline.core.record import Output, Role
from pipeline.errors import AbortableError, OutcomeUnknownError, RefusedError
from pipeline.kafka import clients
from pipeline.kafka.consumed_positions import ConsumedPositions
from pipeline.kafka.delivery_errors import DeliveryErrors
from pipeline.kafka.session import KafkaSession
from pipeline.kafka.session_config import SessionConfig
from pipeline.ports import Positions

_CLIENTS: Final[Any] = clients
"""The module that makes the clients, whose classes are replaced."""
_EVERY: Final = 3000
_IMPATIENT_S: Final = 2.0


def offsets_outside() -> None:
    """Commit offsets with the consumer, after the transaction instead of in it."""
    consumers: list[Consumer] = []
    consumer_class: Any = _CLIENTS.Consumer
    producer_class: Any = _CLIENTS.Producer

    class Remembered(consumer_class):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            consumers[:] = [self]

    class Outside(producer_class):  # type: ignore[misc]
        offsets: list[TopicPartition]

        def send_offsets_to_transaction(self, offsets: list[TopicPartition], *_: Any) -> None:
            self.offsets = offsets

        def commit_transaction(self, *arguments: Any) -> None:
            super().commit_transaction(*arguments)
            with contextlib.suppress(KafkaException):
                consumers[0].commit(offsets=self.offsets, asynchronous=False)

    _CLIENTS.Consumer = Remembered
    _CLIENTS.Producer = Outside


def rewind_after_timeout() -> None:
    """Treat a commit that timed out as failed: make a new producer and process the batch again."""
    prepare, commit, abort = KafkaSession.__init__, KafkaSession.commit, KafkaSession.abort

    def impatient(self: Any, config: SessionConfig, *others: Any) -> None:
        prepare(self, replace(config, deadline_s=_IMPATIENT_S), *others)
        self.timed_out = False

    def guessing(
        self: Any, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts
    ) -> None:
        try:
            commit(self, positions, note, counts)
        except OutcomeUnknownError as error:
            self.timed_out = True
            raise AbortableError(str(error)) from error

    def started_anew(self: Any) -> None:
        if self.timed_out:
            self.timed_out = False
            producer = self._producer
            producer.use(producer.new_producer())
        else:
            abort(self)

    _replace(KafkaSession, __init__=impatient, commit=guessing, abort=started_anew)


def position() -> None:
    """Commit the position of the consumer instead of the offsets behind the processed records."""
    commit = KafkaSession.commit

    def by_position(
        self: Any, _positions: Positions, note: OffsetMetadata, counts: OutcomeCounts
    ) -> None:
        consumer = self._consumer
        current = consumer.position(consumer.assignment())
        known = {(at.topic, at.partition): at.offset for at in current if at.offset >= 0}
        commit(self, known, note, counts)

    _replace(KafkaSession, commit=by_position)


def delivery_callback_raises() -> None:
    """Raise an exception in the delivery callback, once in a few thousand deliveries."""
    reports = 0

    def raising(_self: DeliveryErrors, error: Any, _message: Any) -> None:
        nonlocal reports
        reports += 1
        if error is not None or reports % _EVERY == 0:
            raise RuntimeError("a bug in the delivery callback")

    producer_class: Any = _CLIENTS.Producer

    class Talkative(producer_class):  # type: ignore[misc]
        def __init__(self, config: dict[str, Any], **keywords: Any) -> None:
            super().__init__({**config, "delivery.report.only.error": False}, **keywords)

    _CLIENTS.Producer = Talkative
    _replace(DeliveryErrors, __call__=raising)


def dead_letter_skipped() -> None:
    """Retry a batch that could not be written without its dead letters."""
    prepare, commit = KafkaSession.__init__, KafkaSession.commit

    def prepared(self: Any, *arguments: Any) -> None:
        prepare(self, *arguments)
        self.skips = False
        send = self.send

        def sent(output: Output) -> None:
            if not (self.skips and output.role is Role.DEAD_LETTER):
                send(output)

        self.send = sent

    def skipping(
        self: Any, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts
    ) -> None:
        try:
            commit(self, positions, note, counts)
        except (RefusedError, AbortableError) as error:
            self.skips = True
            raise AbortableError(str(error)) from error
        self.skips = False

    _replace(KafkaSession, __init__=prepared, commit=skipping)


def read_uncommitted() -> None:
    """Read records of aborted transactions."""
    consumer_class: Any = _CLIENTS.Consumer

    class Uncommitted(consumer_class):  # type: ignore[misc]
        def __init__(self, config: dict[str, Any], **keywords: Any) -> None:
            super().__init__({**config, "isolation.level": "read_uncommitted"}, **keywords)

    _CLIENTS.Consumer = Uncommitted


def lost_seek() -> None:
    """Ignore seeks, and the check that they took effect."""
    consumer_class: Any = _CLIENTS.Consumer

    def unchecked(self: Any, messages: list[Message]) -> list[Message]:
        self.pending_seeks.clear()
        return messages

    class Deaf(consumer_class):  # type: ignore[misc]
        def seek(self, partition: TopicPartition) -> None:
            pass

    _CLIENTS.Consumer = Deaf
    _replace(ConsumedPositions, after_seeks=unchecked)


def high_watermark() -> None:
    """Commit the high watermark instead of the position behind markers and aborted records.

    The high watermark is also behind records that were not read yet, and behind open transactions.
    """
    commit = KafkaSession.commit

    def to_the_end(
        self: Any, positions: Positions, note: OffsetMetadata, counts: OutcomeCounts
    ) -> None:
        ends = {
            partition: self._consumer.get_watermark_offsets(
                TopicPartition(*partition), cached=True
            )[1]
            for partition in positions
        }
        ahead = {partition: max(at, ends[partition]) for partition, at in positions.items()}
        commit(self, ahead, note, counts)

    _replace(KafkaSession, commit=to_the_end)


def _replace(owner: type, **methods: Any) -> None:
    for name, method in methods.items():
        setattr(owner, name, method)


SEEDED_BUGS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        offsets_outside,
        rewind_after_timeout,
        position,
        delivery_callback_raises,
        dead_letter_skipped,
        read_uncommitted,
        lost_seek,
        high_watermark,
    )
}

REVEALING_FAULTS: Final = {
    "offsets_outside": ("kill after commit",),
    "rewind_after_timeout": ("EndTxn answers held",),
    "position": ("kill while bisecting",),
    "delivery_callback_raises": ("terminate",),
    "dead_letter_skipped": ("writing dead letters denied",),
    "read_uncommitted": ("terminate",),
    "lost_seek": ("slow transaction",),
    "high_watermark": ("log cut",),
}
"""Faults under which each bug has an effect."""
