"""The producer of a session: what both delivery guarantees have in common.

`exactly_once.py` writes in transactions, `at_least_once.py` without.
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
from pipeline.kafka.clients import ConnectionLog, discard, make_producer
from pipeline.kafka.delivery_errors import DeliveryErrors
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.partitioner import PartitionMap
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.session_config import SessionConfig

STEP_S: Final = 5.0
"""Time limit of one call, which is retried until the deadline. Each retry announces itself."""
_POLL_S: Final = 0.05
_STUCK_S: Final = 10.0
"""A call that exceeds its own timeout by so much will never return (librdkafka issue 5511)."""
_REPORTED_S: Final = 5.0
"""How long to wait for the delivery report of an output that is known to be rejected."""
_OF_THE_RECORD: Final = {
    KafkaError.MSG_SIZE_TOO_LARGE: Reason.ENRICHED_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE: Reason.ENRICHED_TOO_LARGE,
    KafkaError.INVALID_TIMESTAMP: Reason.TIMESTAMP_REFUSED,
    KafkaError.INVALID_RECORD: Reason.RECORD_REFUSED,
}
"""Errors of a single record. The broker does not name it, so the worker bisects the batch."""


class SessionProducer(ABC):
    """Writes outputs to their topics, then commits the positions; see `ports.Session`.

    The offsets and the group metadata passed to `commit` are those of the session's consumer.
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
        """Whether the next batch needs a new client."""
        try:
            self.use(self.new_producer())
            self._routes = self._made_routes()
        except TransportError:
            self.calls.end()
            raise

    def use(self, producer: Producer) -> None:
        """Send through this client."""
        self.producer = producer
        self._produce: Any = self._produce_numbered if self._one_by_one else producer.produce

    @abstractmethod
    def new_producer(self) -> Producer:
        """Return a client that is ready for `begin`."""

    def make_producer(self) -> Producer:
        """Create a client with this session's configuration."""
        config = dict(self.config.producer)
        if self._one_by_one:
            config["batch.num.messages"] = 1
        if self.config.statistics is not None:
            config |= self.config.statistics.properties("producer")
        return make_producer(config, self.last_error, self.delivery_errors, self.connections)

    def start_batch(self) -> None:
        """End the search for a rejected record, if there was one: new records were collected.

        One output per request is many times slower than the client's own batches.
        """
        self.renew |= self._one_by_one
        self._one_by_one = False

    def start_anew(self) -> None:
        """Continue with a new client. The old one is dropped, never closed: that may not end."""
        fresh = self.new_producer()
        discard(self.producer)
        self.use(fresh)
        self.renew = False
        if self.config.statistics is not None:
            self.config.statistics.rotated()

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
        """Give up the batch."""

    def count_partitions(self, topic: str) -> int:
        """Return a topic's number of partitions. RefusedError when there is no such topic."""
        timeout_s = self.config.startup_timeout_s
        return len(partitions_of(self.producer, topic, timeout_s, self.last_error))

    def _made_routes(self) -> dict[Role, tuple[str, PartitionMap | None]]:
        """Return the topic of each role, and how to choose a partition unless it is the same."""
        counts = {role: self.count_partitions(topic) for role, topic in self.config.topics.items()}
        made = self.config.partition_map
        if made is None:
            self.raw_partitions = self.count_partitions(self.config.raw_topic)
            made = partial(PartitionMap, self.raw_partitions)
        maps = {role: made(count) for role, count in counts.items()}
        return {
            role: (topic, None if maps[role].is_identity else maps[role])
            for role, topic in self.config.topics.items()
        }

    def send(self, output: Output) -> None:
        """See `ports.Session`."""
        role, value, key, headers, timestamp, partition, _reason, _revenue = output
        topic, moved = self._routes[role]
        if moved is not None:
            partition = moved.target(partition, key)
        while True:
            try:
                # By position, which the client reads faster; the two callbacks are left out.
                self._produce(topic, value, key, partition, None, None, timestamp, headers)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                raise self._not_produced(error, role) from error
            else:
                return

    def _produce_numbered(self, *output: Any) -> None:  # noqa: ANN401  the client's
        """Call the client's produce(), so that a failure names the output's number in the batch."""
        *before, _callback, _on_delivery, timestamp, headers = output
        on_delivery = partial(self.delivery_errors, nth=self._sent)
        produce: Any = self.producer.produce  # the stubs know one of the two callbacks
        produce(*before, None, on_delivery, timestamp, headers)
        self._sent += 1

    def _not_produced(self, exception: KafkaException, role: Role) -> Exception:
        topic = self.config.topics[role]
        if kafka_error(exception).code() == KafkaError.MSG_SIZE_TOO_LARGE:
            # Found by the client before anything was sent.
            if role is Role.DEAD_LETTER:
                return TooLargeError()
            text = f"topic {topic} does not accept an output that large"
            return RecordRefusedError(text, Reason.ENRICHED_TOO_LARGE, role)
        return self.failed(exception, f"writing to topic {topic}")

    def _wait_for_room(self) -> None:
        self.poll(_POLL_S)
        if self.delivery_errors.error is not None:
            raise self.failed(KafkaException(self.delivery_errors.error), "writing")

    def poll(self, timeout_s: float) -> None:
        """Serve the client's callbacks. A fatal error of its background work is raised here."""
        try:
            self.producer.poll(timeout_s)
        except KafkaException as error:
            raise self.failed(error, "writing in the background") from error

    def failed(self, exception: KafkaException, what: str) -> TransportError:
        """Translate a failed call into what is to be done about it.

        The call's own error says whether the batch can be given up. The first output that was not
        delivered, if there is one, says why the call failed.
        """
        error = kafka_error(exception)
        if error.code() == error_codes.WRONG_STATE:
            error = self.stored_error() or error
        try:
            self._await_reports(error)
        except KafkaException as fatal:  # the cause of an error that later calls only call _FATAL
            error = kafka_error(fatal)
        cause = self.delivery_errors.cause(error, _OF_THE_RECORD)
        if cause is not None:
            what = f"writing to topic {self.delivery_errors.topic}"
            if cause.code() in _OF_THE_RECORD:
                if error.fatal():
                    # This client can't search for the record any more, but the next one will.
                    return OutcomeUnknownError(f"{what}: {reason(cause)}")
                return self._record_refused(cause, what)
        known = self.refusal(cause or error, what) or self.refusal(error, what)
        if known is not None:
            return self.explained(known, what)
        text = f"{what}: {reason(cause or error)}"
        return AbortableError(text) if self.can_abort(error) else OutcomeUnknownError(text)

    def _await_reports(self, error: KafkaError) -> None:
        """Wait for delivery reports: the transaction fails before the client reports the output."""
        self.producer.poll(0)
        deadline = time.monotonic() + _REPORTED_S
        while (
            error.code() in _OF_THE_RECORD
            and self.delivery_errors.error is None
            and time.monotonic() < deadline
        ):
            self.producer.poll(_POLL_S)

    def stored_error(self) -> KafkaError | None:
        """Return why the client rejects calls; None when it does not say."""
        return None

    def refusal(self, error: KafkaError, what: str) -> TransportError | None:
        """See `errors.refusal`; adds the names of this session."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and not self.delivery_errors.topic:
            # A transaction without permission on a topic does not say which one.
            topics = " or ".join(sorted(set(self.config.topics.values())))
            what = self._forbidden() or f"writing to topic {topics}"
        return refusal(
            error,
            what,
            group=self.config.group,
            transactional_id=str(self.config.producer.get("transactional.id", "")),
        )

    def _forbidden(self) -> str | None:
        """Return what the cluster does not allow now; None when it does not say."""
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
        """Return what is behind a fenced consumer: another process, unless a subclass can tell."""
        del generation
        return error

    @abstractmethod
    def can_abort(self, error: KafkaError) -> bool:
        """Return whether the batch can be aborted and retried after this error of a call."""

    def explained(self, known: TransportError, what: str) -> TransportError:
        """Return a refusal, or what this producer knows to be behind it."""
        del what
        return known

    def _record_refused(self, cause: KafkaError, what: str) -> RecordRefusedError:
        # The broker rejects whole requests. Until this batch is done, each request holds one
        # output, so that the report names the rejected one. The client is replaced each time, since
        # it stalls for seconds after a failed delivery.
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
        """Retry a call with the same arguments while the client says that it may be retried."""
        with self.last_error.announcing_retries() as again:
            while True:
                began = time.monotonic()
                step = max(0.001, min(STEP_S, deadline - began))
                try:
                    self.bounded(partial(call, step), step, what)
                except KafkaException as failure:
                    error = kafka_error(failure)
                    # Time beyond the call's own timeout was a pause of this process and does not
                    # count: the next call reports what became of the transaction meanwhile.
                    deadline += max(0.0, time.monotonic() - began - step)
                    if not error.retriable() or time.monotonic() >= deadline:
                        raise self.failed(failure, what) from failure
                    again(what, error)
                else:
                    return

    def bounded(self, call: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Make a call that returns within `timeout_s`, unless it hangs."""
        self.calls.call(call, timeout_s + _STUCK_S, what)

    def drop(self) -> None:
        """Release the client; never raises."""
        self.calls.end()
        discard(self.producer)
        # The client's callback refers to this object. Without this, the two would keep each other
        # alive, with threads and buffers, until the next garbage collection.
        del self.producer, self._produce
