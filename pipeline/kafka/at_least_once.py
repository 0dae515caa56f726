"""Writing at least once, for clusters without transactions.

Guarantees
    Every output is acknowledged by all in-sync replicas before the offsets of its records are
    committed, so none is lost. After a crash between the two, the records are processed again and
    their outputs appear twice. The producer is idempotent: its own retries neither duplicate nor
    reorder, unless a broker was killed before it answered, which librdkafka may resolve by writing
    the unanswered outputs again. Nothing fences a second producer.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline.errors import TransactionTimeoutError
from pipeline.kafka import error_codes
from pipeline.kafka.errors import in_transaction, kafka_error
from pipeline.kafka.producer import STEP_S, SessionProducer

_COMMIT_S: Final = 60.0
"""Time limit of one commit: the default of the client's socket.timeout.ms."""


class AtLeastOnceProducer(SessionProducer):
    """An idempotent producer without transactions; see the module for its guarantees."""

    def new_producer(self) -> Producer:
        """Create a producer; it needs no preparation."""
        return self.make_producer()

    def commit(self, offsets: list[TopicPartition], consumer: Consumer, generation: Any) -> None:  # noqa: ANN401  the client's opaque group metadata
        """Wait for every acknowledgement, then commit.

        A missing acknowledgement prevents the commit.
        """
        del generation  # the consumer adds its own to the request
        deadline = time.monotonic() + self.config.deadline_s
        self._flush(deadline)
        if self.delivery_errors.error is not None:
            raise self.failed(KafkaException(self.delivery_errors.error), "writing")
        what = f"committing the offsets of topic {self.config.raw_topic}"
        call = partial(consumer.commit, offsets=offsets, asynchronous=False)
        with self.last_error.announcing_retries() as again:
            while True:
                try:
                    self.bounded(call, _COMMIT_S, what)
                except KafkaException as failure:
                    error = kafka_error(failure)
                    waits = error.retriable() or error.code() == KafkaError.REBALANCE_IN_PROGRESS
                    if not waits or time.monotonic() >= deadline:
                        raise in_transaction(failure, what, group=self.config.group) from failure
                    again(what, error)
                    time.sleep(0.1)  # the client joins the new generation in the background
                else:
                    return

    def abort(self) -> None:
        """Wait until nothing is in flight. What was delivered stays, and will be written again."""
        self._flush(time.monotonic() + self.config.deadline_s)

    def _flush(self, deadline: float) -> None:
        with self.last_error.announcing_retries() as again:
            while self.producer.flush(min(STEP_S, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise TransactionTimeoutError(
                        "the brokers did not acknowledge all outputs in time"
                        f"{self.last_error.sentence()}"
                    )
                again("writing", KafkaError(error_codes.TIMED_OUT))

    def can_abort(self, error: KafkaError) -> bool:
        """Return True unless the producer itself is broken: failed outputs are sent again."""
        return not error.fatal()
