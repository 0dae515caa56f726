"""Writing at least once, for clusters without transactions.

All outputs are acknowledged before their offsets are committed; what is between the two is
written again after a crash, and then it is there twice.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka.errors import in_transaction, kafka_error
from pipeline.kafka.producer import STEP_S, SessionProducer

_COMMIT_S: Final = 60.0
"""The client's own limit of a commit, socket.timeout.ms, is not longer."""


class AtLeastOnceProducer(SessionProducer):
    """An idempotent producer, so that its own retries double and disorder nothing."""

    def new_producer(self) -> Producer:
        """It needs no preparation."""
        return self.make_producer()

    def commit(self, offsets: list[TopicPartition], consumer: Consumer, generation: Any) -> None:  # noqa: ANN401  the client's opaque group metadata
        """Wait for every acknowledgement, then commit; never past one that is missing."""
        del generation  # the consumer puts its own into the request
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
        """Wait until nothing is in flight; what was delivered stays, and will be there twice."""
        self._flush(time.monotonic() + self.config.deadline_s)

    def _flush(self, deadline: float) -> None:
        with self.last_error.announcing_retries() as again:
            while self.producer.flush(min(STEP_S, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise OutcomeUnknownError(
                        "the brokers did not acknowledge all outputs in time"
                        f"{self.last_error.sentence()}"
                    )
                again("writing", KafkaError(error_codes.TIMED_OUT))

    def can_abort(self, error: KafkaError) -> bool:
        """Whatever was not delivered is sent again, unless the producer itself is broken."""
        return not error.fatal()
