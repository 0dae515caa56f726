"""The producer of the DLQ tools: one at a time for each dead-letter topic.

Guarantees
    Its transactional id is derived from the topic's name, so opening one fences an older one,
    wherever that runs. Outputs and ledger entries are committed together or not at all, so the
    ledger knows of every dead letter that was redriven. It never replaces its producer by itself:
    that would fence a tool that has taken over, and continue without knowing what that one has
    sent.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaException

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.exactly_once import ExactlyOnceProducer
from pipeline.kafka.session_config import SessionConfig

_POLL_S: Final = 0.1


class LedgerProducer(ExactlyOnceProducer):
    """Writes outputs and ledger entries in one transaction."""

    def __init__(self, config: SessionConfig, ledger_topic: str) -> None:
        self._ledger_topic = ledger_topic
        super().__init__(config, LastClientError())

    @property
    def is_spent(self) -> bool:
        """Whether its producer must not begin another transaction."""
        return self.renew

    def begin(self) -> None:
        """Begin a transaction. OutcomeUnknownError when the producer is spent."""
        if self.renew:
            raise OutcomeUnknownError("the producer is spent: the ledger must be read again")
        super().begin()

    def note(self, key: bytes, value: bytes | None) -> None:
        """Add a ledger entry to the transaction. Raises the errors of `send`."""
        while True:
            try:
                self.producer.produce(self._ledger_topic, value, key)
            except BufferError:
                self.poll(_POLL_S)
            except KafkaException as error:
                raise self.failed(error, f"writing to topic {self._ledger_topic}") from error
            else:
                return
