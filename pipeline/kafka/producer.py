"""The producing half of a session: what both guarantees have in common.

`exactly_once.py` writes exactly once, `at_least_once.py` at least once.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Role
from pipeline.errors import (
    AbortableError,
    FencedError,
    OutcomeUnknownError,
    RecordRefusedError,
    TooLargeError,
    TransportError,
)
from pipeline.kafka import error_codes
from pipeline.kafka.admin import Admin
from pipeline.kafka.call_timeout import TimedCalls
from pipeline.kafka.clients import ConnectionLog, make_producer
from pipeline.kafka.delivery_errors import DeliveryErrors
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.partitioner import PartitionMap
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.session_config import SessionConfig

STEP_S: Final = 5.0
"""Longest wait of one call; it is made again until the deadline."""
_POLL_S: Final = 0.05
_STUCK_S: Final = 10.0
"""A call that outlives its own time-out by so much will never return."""
_REPORTED_S: Final = 5.0
"""Longest wait for the report of an output that is known to be refused."""
_OF_THE_RECORD: Final = {
    KafkaError.MSG_SIZE_TOO_LARGE: Reason.ENRICHED_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE: Reason.ENRICHED_TOO_LARGE,
    KafkaError.INVALID_TIMESTAMP: Reason.TIMESTAMP_REFUSED,
    KafkaError.INVALID_RECORD: Reason.RECORD_REFUSED,
}
"""Refusals of one record: the broker names no culprit, the worker finds it."""


class SessionProducer(ABC):
    """Outputs to their topics, then the positions; see `ports.Session` for the methods.

    Positions and group generation of `commit` are of the session's consumer.
    """

    def __init__(self, config: SessionConfig, last_error: LastClientError) -> None:
        self.config = config
        self.last_error = last_error
        self.delivery_errors = DeliveryErrors()
        self.calls = TimedCalls()
        self.connections = ConnectionLog()
        self._one_by_one = False
        self._sent = 0
        self.renew = False
        """Whether the next batch needs a new producer."""
        try:
            self.use(self.new_producer())
            self._partitions = self._partition_maps()
        except TransportError:
            self.calls.end()
            raise

    def use(self, producer: Producer) -> None:
        """Go on with this producer. An old one is dropped, never closed: that may wait for ever."""
        self.producer = producer
        self._produce: Any = self._produce_numbered if self._one_by_one else producer.produce

    @abstractmethod
    def new_producer(self) -> Producer:
        """A producer that is ready for `begin`."""

    def make_producer(self) -> Producer:
        """A producer of this session's configuration."""
        config = dict(self.config.producer)
        if self._one_by_one:
            config["batch.num.messages"] = 1
        return make_producer(config, self.last_error, self.delivery_errors, self.connections)

    def start_batch(self) -> None:
        """New records were collected: a search for a refused one is over, if there was one.

        One output a request is many times slower than what the client does by itself.
        """
        self.renew |= self._one_by_one
        self._one_by_one = False

    def start_anew(self) -> None:
        """Go on with a new producer."""
        self.use(self.new_producer())
        self.renew = False

    def begin(self) -> None:
        """Begin a transaction."""
        if self.renew:
            self.start_anew()
        self.delivery_errors.forget()
        self._sent = 0

    @abstractmethod
    def commit(self, offsets: list[TopicPartition], consumer: Consumer, generation: Any) -> None:  # noqa: ANN401  the client's opaque group metadata
        """Make the outputs and the offsets durable."""

    @abstractmethod
    def abort(self) -> None:
        """Give the batch up."""

    def count_partitions(self, topic: str) -> int:
        """Number of partitions of a topic now; RefusedError when there is no such topic."""
        timeout_s = self.config.startup_timeout_s
        return len(partitions_of(self.producer, topic, timeout_s, self.last_error))

    def _partition_maps(self) -> dict[Role, PartitionMap]:
        counts = {role: self.count_partitions(topic) for role, topic in self.config.topics.items()}
        made = self.config.partition_map
        if made is None:
            self.raw_partitions = self.count_partitions(self.config.raw_topic)
            made = partial(PartitionMap, self.raw_partitions)
        return {role: made(count) for role, count in counts.items()}

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        role, value, key, headers, timestamp, partition, _ = output
        topic = self.config.topics[role]
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

    def _produce_numbered(self, *output: Any, **rest: Any) -> None:  # noqa: ANN401  the client's
        """As the client's produce(), but a failure tells which output of the batch it was."""
        rest["on_delivery"] = partial(self.delivery_errors, nth=self._sent)
        self.producer.produce(*output, **rest)
        self._sent += 1

    def _not_produced(self, exception: KafkaException, role: Role) -> Exception:
        topic = self.config.topics[role]
        if kafka_error(exception).code() == KafkaError.MSG_SIZE_TOO_LARGE:
            # Found by the client, before anything was sent.
            if role is Role.DEAD_LETTER:
                return TooLargeError()
            text = f"topic {topic} does not take an output that large"
            return RecordRefusedError(text, Reason.ENRICHED_TOO_LARGE, role)
        return self.failed(exception, f"writing to topic {topic}")

    def _wait_for_room(self) -> None:
        self.poll(_POLL_S)
        if self.delivery_errors.error is not None:
            raise self.failed(KafkaException(self.delivery_errors.error), "writing")

    def poll(self, timeout_s: float) -> None:
        """Serve the producer's callbacks; a fatal error of its background work is raised here."""
        try:
            self.producer.poll(timeout_s)
        except KafkaException as error:
            raise self.failed(error, "writing in the background") from error

    def failed(self, exception: KafkaException, what: str) -> TransportError:
        """What is to be done about a failed call.

        The call's own error says whether the batch can be given up; why it failed is told by the
        first output that was not delivered, if there is one.
        """
        error = kafka_error(exception)
        if error.code() == error_codes.WRONG_STATE:
            error = self.stored_error() or error
        try:
            self._hear_reports(error)
        except KafkaException as fatal:  # what a call that came later only names _FATAL
            error = kafka_error(fatal)
        cause = self.delivery_errors.cause(error, _OF_THE_RECORD)
        if cause is not None:
            what = f"writing to topic {self.delivery_errors.topic}"
            if cause.code() in _OF_THE_RECORD:
                if error.fatal():
                    # This client can't search for the record any more; the next one will.
                    return OutcomeUnknownError(f"{what}: {reason(cause)}")
                return self._record_refused(cause, what)
        known = self.refusal(cause or error, what) or self.refusal(error, what)
        if known is not None:
            return self.explained(known, what)
        text = f"{what}: {reason(cause or error)}"
        return AbortableError(text) if self.can_abort(error) else OutcomeUnknownError(text)

    def _hear_reports(self, error: KafkaError) -> None:
        """The transaction fails before the client reports the output that it failed for."""
        self.producer.poll(0)
        deadline = time.monotonic() + _REPORTED_S
        while (
            error.code() in _OF_THE_RECORD
            and self.delivery_errors.error is None
            and time.monotonic() < deadline
        ):
            self.producer.poll(_POLL_S)

    def stored_error(self) -> KafkaError | None:
        """Why the client is in a state in which it takes no calls; None when it does not say."""
        return None

    def refusal(self, error: KafkaError, what: str) -> TransportError | None:
        """See `errors.refusal`, with the names of this session."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and not self.delivery_errors.topic:
            # A transaction that is not allowed a topic does not say which one.
            topics = " or ".join(sorted(set(self.config.topics.values())))
            what = self._forbidden() or f"writing to topic {topics}"
        return refusal(
            error,
            what,
            group=self.config.group,
            transactional_id=str(self.config.producer.get("transactional.id", "")),
        )

    def _forbidden(self) -> str | None:
        """What is not allowed, as the cluster says it now; None when it says nothing."""
        needed = {self.config.raw_topic: ("reading", "READ")}
        needed |= dict.fromkeys(self.config.topics.values(), ("writing to", "WRITE"))
        try:
            facts = Admin(self.config.shared, STEP_S).topics(needed)
        except TransportError:
            return None
        for name, (verb, operation) in needed.items():
            if name in facts and not facts[name].allows(operation):
                return f"{verb} topic {name}"
        return None

    def fenced(self, error: FencedError, generation: Any) -> TransportError:  # noqa: ANN401  the client's opaque group metadata
        """What is behind a consumer that was fenced; another process, unless a writer can tell."""
        del generation
        return error

    @abstractmethod
    def can_abort(self, error: KafkaError) -> bool:
        """Whether after this error of a call the batch can be given up and tried again."""

    def explained(self, known: TransportError, what: str) -> TransportError:
        """A refusal, or what this writer knows to be behind it."""
        del what
        return known

    def _record_refused(self, cause: KafkaError, what: str) -> RecordRefusedError:
        # The broker judges whole batches of the client's. Until this batch of the worker's is
        # done they hold one output each, so that the report names the culprit.
        # The producer is replaced each time: after a failed delivery it stalls for seconds.
        self._one_by_one = self.renew = True
        roles = {topic: role for role, topic in self.config.topics.items()}
        sentence = refusal(cause, what)
        return RecordRefusedError(
            str(sentence),
            _OF_THE_RECORD[cause.code()],
            roles.get(self.delivery_errors.topic, Role.DEAD_LETTER),
            self.delivery_errors.nth,
        )

    def retrying(self, call: Callable[[float], Any], deadline: float, what: str) -> None:
        """Make the call again, with the same arguments, while the client says that it may be."""
        with self.last_error.announcing_retries() as again:
            while True:
                began = time.monotonic()
                step = max(0.001, min(STEP_S, deadline - began))
                try:
                    self.bounded(partial(call, step), step, what)
                except KafkaException as failure:
                    error = kafka_error(failure)
                    # Beyond the call's own time-out this process was stopped, which does not count:
                    # the next call tells what has become of the transaction meanwhile.
                    deadline += max(0.0, time.monotonic() - began - step)
                    if not error.retriable() or time.monotonic() >= deadline:
                        raise self.failed(failure, what) from failure
                    again(what, error)
                else:
                    return

    def bounded(self, call: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Make a call that ends by itself after `timeout_s`, unless it hangs."""
        self.calls.call(call, timeout_s + _STUCK_S, what)

    def drop(self) -> None:
        """Let the producer go; never raises."""
        self.calls.end()
        # The producer's callback refers to this object: without this, the two would keep each
        # other, threads and buffers included, until the garbage collector comes by.
        del self.producer, self._produce
