"""A session on a real Kafka: one group consumer and one transactional producer.

Facts about librdkafka that the code below relies on stand beside it; the failure table is in
ARCHITECTURE.md.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from pipeline.core.record import Output, Role
from pipeline.edges.kafka.bounded import BoundedCalls
from pipeline.edges.kafka.clients import (
    LibrdkafkaConfig,
    is_cooperative,
    make_consumer,
    make_producer,
)
from pipeline.edges.kafka.collector import BatchLimits, Collector
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


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session needs to know; made by wiring.py from the settings."""

    shared: LibrdkafkaConfig
    consumer: Mapping[str, Any]
    producer: Mapping[str, Any]
    group: str
    raw_topic: str
    topics: Mapping[Role, str]
    """Where each role is written; DROPPED has none."""
    partitions: Mapping[str, int]
    """Number of partitions of the raw and the output topics, fixed at start."""
    batch: BatchLimits
    initial_offset: str
    start_over: str | None
    continue_on_data_loss: bool
    transaction_timeout_s: float
    deadline_s: float
    """For one commit, below the transaction's and the group's own time-outs."""
    startup_timeout_s: float


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
        self._begun = (time.monotonic(), time.time())
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
        self._producer.poll(0)
        return batch

    def begin(self) -> None:
        """See `ports.Session`."""
        if self._renew:
            # Dropped, never closed: close() waits for a broker that may be down.
            self._producer = self._new_producer()
            self._produce = self._producer.produce
            self._renew = False
        self._undelivered = None
        # The wall clock too: the other one stands still while a machine sleeps.
        self._begun = (time.monotonic(), time.time())
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._explained(error, "beginning a transaction") from error

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
        self._producer.poll(0)
        return self._not_delivered(AbortableError) or self._explained(
            exception, f"writing to topic {topic}"
        )

    def _not_delivered(self, otherwise: type[TransportError]) -> TransportError | None:
        """What the first output that was not delivered means; its report tells the true code."""
        if self._undelivered is None:
            return None
        what = f"writing to topic {self._undelivered_topic}"
        return refusal(self._undelivered, what) or otherwise(f"{what}: {reason(self._undelivered)}")

    def _wait_for_room(self) -> None:
        self._producer.poll(_POLL_S)
        lost = self._not_delivered(AbortableError)
        if lost is not None:
            raise lost

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
            raise self._uncommitted(error) from error
        self._renew = time.monotonic() - started > _SLOW_S

    def _uncommitted(self, error: AbortableError) -> TransportError:
        """Why a commit failed: an output that was not delivered tells the true code."""
        self._producer.poll(0)
        return self._not_delivered(OutcomeUnknownError) or OutcomeUnknownError(str(error))

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
                raise self._explained(failure, what) from failure
            else:
                return

    def _explained(self, failure: KafkaException, what: str) -> TransportError:
        """What an error in a transaction means; fenced by our own delay is no other process."""
        error = in_transaction(failure, what)
        open_s = max(time.monotonic() - self._begun[0], time.time() - self._begun[1])
        if isinstance(error, EpochFencedError) and open_s >= self._config.transaction_timeout_s:
            return OutcomeUnknownError(
                f"{what}: the broker ended the transaction, which was open for {open_s:.0f} s, "
                "longer than transaction_timeout_ms; was this machine paused?"
            )
        return error

    def abort(self) -> None:
        """See `ports.Session`."""
        started = time.monotonic()
        try:
            self._retrying(
                self._producer.abort_transaction, started + self._config.deadline_s, "aborting"
            )
        except AbortableError as error:
            raise OutcomeUnknownError(str(error)) from error
        self._renew = time.monotonic() - started > _SLOW_S

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
