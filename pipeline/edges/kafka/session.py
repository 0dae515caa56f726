"""A session on a real Kafka: one group consumer and one transactional producer.

Facts about librdkafka that the code below relies on stand beside it; the failure table is in
ARCHITECTURE.md.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from pipeline.core.record import Output, Role
from pipeline.edges.kafka.bounded import BoundedCalls
from pipeline.edges.kafka.clients import (
    is_cooperative,
    make_consumer,
    make_producer,
)
from pipeline.edges.kafka.collector import Collector
from pipeline.edges.kafka.config import SessionConfig
from pipeline.edges.kafka.errors import (
    Causes,
    EpochFencedError,
    in_transaction,
    kafka_error,
    reason,
    refusal,
)
from pipeline.edges.kafka.partitioner import PartitionMap
from pipeline.edges.kafka.positions import StartPositions
from pipeline.ports import (
    AbortableError,
    Batch,
    OutcomeUnknownError,
    Positions,
    RefusedError,
    TooLargeError,
    TransportError,
)

_SLOW_S: Final = 2.0
"""librdkafka has no KIP-890: a late retry of an EndTxn that took longer can touch the next
transaction, so the producer is replaced (a new epoch fences the late request)."""
_POLL_S: Final = 0.05
_STEP_S: Final = 5.0
_STUCK_S: Final = 10.0
"""A call that outlives its own time-out by so much will never return."""


class KafkaBroker:
    """Opens sessions on a cluster."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config

    def open(self) -> KafkaSession:
        """A new session; fences an older one with the same transactional id."""
        return KafkaSession(self._config)


class KafkaSession:
    """See `ports.Session`."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self._causes = Causes()
        self._undelivered: KafkaError | None = None
        self._undelivered_topic = ""
        self._renew = False
        self._begun: tuple[float, float] | None = None
        self._calls = BoundedCalls()
        self._topics = config.topics
        self._partitions = {
            role: PartitionMap(config.partitions[config.raw_topic], config.partitions[topic])
            for role, topic in config.topics.items()
        }
        # First the producer: it aborts our own dangling transaction, so that the committed
        # offsets that the consumer starts from are final.
        try:
            self._producer = self._new_producer()
        except TransportError:
            self._calls.end()
            raise
        self._produce: Any = self._producer.produce
        self._consumer = make_consumer(dict(config.consumer), self._causes)
        self._collector = Collector(
            self._consumer,
            config.raw_topic,
            config.batch,
            self._start_positions(),
            self._causes,
            partitions=config.partitions[config.raw_topic],
            cooperative=is_cooperative(config.consumer),
            continue_on_data_loss=config.continue_on_data_loss,
            timeout_s=config.startup_timeout_s,
        )
        self._group_metadata: Any = None

    def _start_positions(self) -> StartPositions:
        config = self._config
        return StartPositions(
            group=config.group,
            initial_offset=config.initial_offset,
            start_over=config.start_over,
            kafka=config.shared,
            enriched_topic=config.topics[Role.ENRICHED],
            timeout_s=config.startup_timeout_s,
        )

    def _new_producer(self) -> Producer:
        producer = make_producer(dict(self._config.producer), self._causes, self._on_delivery)
        deadline = time.monotonic() + self._config.startup_timeout_s
        while True:
            producer.poll(0)  # the error callback runs only inside poll
            try:
                producer.init_transactions(min(_STEP_S, self._config.startup_timeout_s))
            except KafkaException as failure:
                error = kafka_error(failure)
                known = refusal(error, "starting transactions")
                if known is not None:
                    raise known from failure
                producer.poll(0)
                if error.fatal() or not error.retriable() or time.monotonic() > deadline:
                    raise OutcomeUnknownError(
                        f"starting transactions: {reason(error)}{self._causes.sentence()}"
                    ) from failure
            else:
                return producer

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:  # noqa: ANN401
        """Only failures are reported. The first one is the cause; later ones follow from it."""
        if error is not None and self._undelivered is None:
            purged = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001
            if error.code() not in purged:
                self._undelivered = error
                self._undelivered_topic = message.topic()

    def collect(self) -> Batch:
        """See `ports.Session`."""
        try:
            batch = self._collector.collect()
            if batch.positions:
                # Right after consume: the generation that owns these records.
                self._group_metadata = self._consumer.consumer_group_metadata()
                if not self._consumer.memberid():
                    # A commit without a member would be accepted over a live group's.
                    raise OutcomeUnknownError("the consumer is not a member of its group")
        except KafkaException as error:
            raise in_transaction(error, f"reading topic {self._config.raw_topic}") from error
        self._poll(0)
        return batch

    def begin(self) -> None:
        """See `ports.Session`."""
        if self._renew:
            # Dropped, never closed: close() waits for a broker that may be down.
            self._producer = self._new_producer()
            self._produce = self._producer.produce
            self._renew = False
        self._undelivered = None
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._meaning(error, "beginning a transaction") from error
        # The wall clock too: the other one stands still while a machine sleeps.
        self._begun = (time.monotonic(), time.time())

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        role, value, key, headers, timestamp, partition, _ = output
        topic = self._topics[role]
        target = self._partitions[role].target(partition, key)
        while True:
            try:
                self._produce(topic, value, key, target, timestamp=timestamp, headers=headers)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                raise self._not_produced(error, role) from error
            else:
                return

    def _not_produced(self, exception: KafkaException, role: Role) -> Exception:
        topic = self._topics[role]
        if kafka_error(exception).code() == KafkaError.MSG_SIZE_TOO_LARGE:
            # Found here, before anything was sent: the transaction is unharmed.
            if role is Role.DEAD_LETTER:
                return TooLargeError()
            return RefusedError(
                f"an event is larger than topic {topic} takes: "
                "lower limits.max_output_bytes or raise the topic's max.message.bytes"
            )
        return self._meaning(exception, f"writing to topic {topic}")

    def _wait_for_room(self) -> None:
        self._poll(_POLL_S)
        if self._undelivered is not None:
            raise self._meaning(KafkaException(self._undelivered), "writing")

    def _poll(self, timeout_s: float) -> None:
        """Serve the producer's callbacks; a fatal error of its background work is raised here."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            raise self._meaning(error, "writing in the background") from error

    def _meaning(self, exception: KafkaException, what: str) -> TransportError:
        """What is to be done about a failed call.

        The call's own error says whether the transaction can be aborted; why it failed is told
        by the first output that was not delivered, if there is one.
        """
        error = kafka_error(exception)
        try:
            self._producer.poll(0)
        except KafkaException as fatal:  # what a call that came later only names _FATAL
            error = kafka_error(fatal)
        cause = self._undelivered
        if cause is not None:
            what = f"writing to topic {self._undelivered_topic}"
        known = refusal(cause or error, what) or refusal(error, what)
        if isinstance(known, EpochFencedError):
            return self._own_delay(what) or known
        text = f"{what}: {reason(cause or error)}"
        usual = AbortableError if error.txn_requires_abort() else OutcomeUnknownError
        return known or usual(text)

    def _own_delay(self, what: str) -> OutcomeUnknownError | None:
        """Fenced by the broker for a transaction that took too long: no other process is meant."""
        if self._begun is None:
            return None
        open_s = max(time.monotonic() - self._begun[0], time.time() - self._begun[1])
        if open_s < self._config.transaction_timeout_s:
            return None
        return OutcomeUnknownError(
            f"{what}: the broker ended the transaction, which was open for {open_s:.0f} s, "
            "longer than transaction_timeout_ms; was this machine paused?"
        )

    def commit(self, positions: Positions) -> None:
        """See `ports.Session`."""
        offsets = [
            TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()
        ]
        started = time.monotonic()
        deadline = started + self._config.deadline_s
        self._retrying(
            lambda left: self._producer.send_offsets_to_transaction(
                offsets, self._group_metadata, left
            ),
            deadline,
            "committing the offsets",
        )
        try:
            # A finite time-out, and after it the same call again: -1 is not bounded by
            # transaction.timeout.ms, and a commit that timed out can't be aborted.
            self._retrying(self._producer.commit_transaction, deadline, "committing")
        except AbortableError as error:
            # Raised by the commit itself, it does not tell that nothing was committed.
            raise OutcomeUnknownError(str(error)) from error
        self._ended(started)

    def _ended(self, started: float) -> None:
        """The transaction is over; ending it began at `started`."""
        self._begun = None
        self._renew = time.monotonic() - started > _SLOW_S

    def _retrying(self, call: Callable[[float], Any], deadline: float, what: str) -> None:
        """Make the call again, with the same arguments, while the client says that it may be."""
        while True:
            left = deadline - time.monotonic()
            try:
                step = max(0.001, min(_STEP_S, left))
                self._calls.call(partial(call, step), step + _STUCK_S, what)
            except KafkaException as failure:
                error = kafka_error(failure)
                if error.retriable() and time.monotonic() < deadline:
                    continue
                raise self._meaning(failure, what) from failure
            else:
                return

    def abort(self) -> None:
        """See `ports.Session`."""
        started = time.monotonic()
        try:
            self._retrying(
                self._producer.abort_transaction, started + self._config.deadline_s, "aborting"
            )
        except AbortableError as error:
            raise OutcomeUnknownError(str(error)) from error
        self._ended(started)

    def rewind(self, batch: Batch) -> None:
        """See `ports.Session`."""
        self._collector.rewind(batch)

    def lag(self) -> int | None:
        """See `ports.Session`."""
        return self._collector.lag()

    def close(self) -> None:
        """Leave the group. The producer is only dropped: closing it may wait for a broker."""
        self._calls.end()
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()
        # The producer's callback refers to this session: without this, the two would keep each
        # other, threads and buffers included, until the garbage collector comes by.
        del self._producer, self._produce
