"""Writing exactly once: outputs and offsets in one transaction.

Rules of this file
    What lives here: every call on a transactional producer, and every fact about librdkafka's
    transactions, beside the code that depends on it.
    What is forbidden: what the outputs mean, how they were made, and the group's partitions. It
    decides which error of a call means what, but not what to do next: that is the worker's loop.

The idea
    A producer with a transactional id is unique in the cluster: opening one fences the older one,
    and aborts what that one left open. The offsets go to the coordinator inside the transaction. So
    a reader with isolation level read_committed sees the outputs of a record if and only if its
    offset is committed.

Guarantees
    Each raw record takes effect exactly once in the output topics, for read_committed readers. An
    error of a commit never counts as "not committed": only the committed offsets tell. A producer
    whose commit was slow, or whose connection was lost meanwhile, is replaced before it begins
    another transaction. Not covered: a single broker that crashes may lose transaction markers (see
    the documentation of the chaos tests), and readers with read_uncommitted see aborted outputs.

The failure table is in ARCHITECTURE.md.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline.errors import (
    AbortableError,
    EpochFencedError,
    FencedError,
    LostTrackError,
    OutcomeUnknownError,
    TransactionTimeoutError,
    TransportError,
)
from pipeline.kafka.errors import LastClientError, kafka_error, reason
from pipeline.kafka.producer import STEP_S, SessionProducer
from pipeline.kafka.session_config import SessionConfig

_STARTING: Final = "starting transactions"
_SLOW_S: Final = 2.0
"""librdkafka 2.16 has no KIP-890: a delayed retry of an EndTxn request can end the next
transaction. When ending one took longer than this, or a connection was lost, the producer is
replaced, and its new epoch fences the retry. Undisturbed commits take milliseconds."""
_OF_THE_GROUP: Final = frozenset(
    {
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
"""Answers of the group, which is asked only after the transactional id was found to be ours."""


class ExactlyOnceProducer(SessionProducer):
    """A transactional producer. Creating one fences an older one with the same transactional id."""

    def __init__(self, config: SessionConfig, last_error: LastClientError) -> None:
        self._begun: tuple[float, float] | None = None
        self._lost = 0
        self._last: tuple[list[TopicPartition], Any] | None = None
        """Offsets and group metadata of the last commit."""
        self._was_slow = False
        """Whether the last commit was so slow that a retry of it may still be on its way."""
        super().__init__(config, last_error)

    def new_producer(self) -> Producer:
        """Create a producer, which aborts a transaction that an earlier one left open."""
        producer = self.make_producer()
        deadline = time.monotonic() + self.config.startup_timeout_s
        with self.last_error.announcing_retries() as again:
            while True:
                producer.poll(0)  # the error callback runs only inside poll
                try:
                    producer.init_transactions(min(STEP_S, self.config.startup_timeout_s))
                except KafkaException as failure:
                    error = kafka_error(failure)
                    known = self.refusal(error, _STARTING)
                    if known is not None:
                        raise known from failure
                    producer.poll(0)
                    if error.fatal() or not error.retriable() or time.monotonic() > deadline:
                        raise OutcomeUnknownError(
                            f"{_STARTING}: {reason(error)}{self.last_error.sentence()}"
                        ) from failure
                    again(_STARTING, error)
                else:
                    return producer

    def start_anew(self) -> None:
        """See `SessionProducer`. FencedError when another process has taken the transactional id.

        A commit also counts as slow when this process was paused meanwhile. What it committed may
        be committed a second time by a retry that is still on its way.
        """
        if self._was_slow and self._last is not None:
            error = self._refused(*self._last)
            known = error and self.refusal(error, "taking the transactional id again")
            if isinstance(known, EpochFencedError):
                raise known
        super().start_anew()

    def begin(self) -> None:
        """See `ports.Session`."""
        super().begin()
        self._was_slow = False
        try:
            self.producer.begin_transaction()
        except KafkaException as error:
            raise self.failed(error, "beginning a transaction") from error
        # The wall clock too, since the monotonic clock stops while a machine sleeps.
        self._begun = (time.monotonic(), time.time())
        self._lost = self.connections.lost

    def commit(self, offsets: list[TopicPartition], consumer: Consumer, generation: Any) -> None:  # noqa: ANN401  the client's opaque group metadata
        """See `ports.Session`."""
        del consumer
        started = time.monotonic()
        self.retrying(
            lambda left: self.producer.send_offsets_to_transaction(offsets, generation, left),
            started + self.config.deadline_s,
            f"committing the offsets of topic {self.config.raw_topic}",
        )
        self.commit_outputs(started)
        self._last = offsets, generation
        self._was_slow = time.monotonic() - started > _SLOW_S

    def commit_outputs(self, started: float) -> None:
        """Commit without further offsets; `started` is the monotonic time when this began."""
        try:
            # A finite timeout, and then the same call again: -1 is not limited by
            # transaction.timeout.ms, and a commit that timed out can't be aborted.
            deadline = started + self.config.deadline_s
            self.retrying(self.producer.commit_transaction, deadline, "committing")
        except (AbortableError, OutcomeUnknownError) as error:
            # Raised by the commit itself, it does not prove that nothing was committed.
            raise self._commit_failed(error, deadline) from error
        self._ended(started)

    def _commit_failed(self, error: TransportError, deadline: float) -> OutcomeUnknownError:
        """Recognise a commit that took too long although no connection was lost."""
        if isinstance(error, TransactionTimeoutError):
            return error
        if time.monotonic() >= deadline and self.connections.lost == self._lost:
            return TransactionTimeoutError(str(error))
        return OutcomeUnknownError(str(error))

    def abort(self) -> None:
        """See `ports.Session`."""
        started = time.monotonic()
        deadline = started + self.config.deadline_s
        try:
            self.retrying(self.producer.abort_transaction, deadline, "aborting")
        except FencedError:
            raise
        except TransportError as error:
            raise OutcomeUnknownError(str(error)) from error
        self._ended(started)

    def _ended(self, started: float) -> None:
        """Note the end of the transaction; ending it began at `started`."""
        self._begun = None
        self.producer.poll(0)  # the client delivers its log only inside poll
        self.renew |= time.monotonic() - started > _SLOW_S
        self.renew |= self.connections.lost > self._lost

    def stored_error(self) -> KafkaError | None:
        """Return why the transaction failed in the background.

        The commit reports it and does nothing.
        """
        try:
            self.bounded(partial(self.producer.commit_transaction, STEP_S), STEP_S, "committing")
        except KafkaException as failure:
            return kafka_error(failure)
        return None

    def fenced(self, error: FencedError, generation: Any) -> TransportError:  # noqa: ANN401  the client's opaque group metadata
        """Ask the transaction coordinator whether another process has our transactional id.

        librdkafka lets a coordinator that has just moved fence every static member at once, with a
        heartbeat without a member id. A process that really uses our name has our transactional id
        too, and then the first request of a transaction is rejected. Nothing is committed here. The
        old producer asks, even if it is due to be replaced, since a new one would take the id.
        """
        # Offsets that are committed already, in case a retry of that commit is still on its way.
        offsets = self._last[0] if self._last else [TopicPartition(self.config.raw_topic, 0, 0)]
        refused = self._refused(offsets, generation)
        if refused is not None:
            known = self.refusal(refused, "asking who has the transactional id")
            if isinstance(known, EpochFencedError):
                return known
        is_ours = refused is None or refused.code() in _OF_THE_GROUP
        kind = LostTrackError if is_ours else OutcomeUnknownError
        return kind(f"the coordinator lost track of this member ({error})")

    def _refused(self, offsets: list[TopicPartition], generation: Any) -> KafkaError | None:  # noqa: ANN401  as above
        """Begin a transaction and send these offsets; return why they are rejected, or None."""
        call = partial(self.producer.send_offsets_to_transaction, offsets, generation, STEP_S)
        try:
            self.producer.begin_transaction()
            self.bounded(call, STEP_S, "asking who has the transactional id")
        except KafkaException as failure:
            return kafka_error(failure)
        return None

    def can_abort(self, error: KafkaError) -> bool:
        """See `SessionProducer`."""
        return error.txn_requires_abort()

    def explained(self, known: TransportError, what: str) -> TransportError:
        """Recognise a producer that the broker fenced because its transaction took too long."""
        if not isinstance(known, EpochFencedError) or self._begun is None:
            return known
        open_s = max(time.monotonic() - self._begun[0], time.time() - self._begun[1])
        if open_s < self.config.transaction_timeout_s:
            return known
        return TransactionTimeoutError(
            f"{what}: the broker ended the transaction, which was open for {open_s:.0f} s, "
            "longer than transaction_timeout_ms"
        )
