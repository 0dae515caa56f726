"""The writing half of the desk for dead letters: one for each dead-letter topic at a time.

Its transactional id is made of the topic's name, so that opening one fences an older one off,
wherever it runs.
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
    """Outputs and entries of the ledger in one transaction."""

    def __init__(self, config: SessionConfig, ledger_topic: str) -> None:
        self._ledger_topic = ledger_topic
        super().__init__(config, LastClientError())

    @property
    def is_spent(self) -> bool:
        """Whether its producer must not begin another transaction."""
        return self.renew

    def begin(self) -> None:
        """Begin a transaction; OutcomeUnknownError when it is spent.

        Unlike the worker's writer it does not replace its producer by itself. That would fence off
        a desk that has taken over since, and go on without knowing what that one has sent.
        """
        if self.renew:
            raise OutcomeUnknownError("the producer is spent: the ledger must be read anew")
        super().begin()

    def note(self, key: bytes, value: bytes | None) -> None:
        """Add a record of the ledger. Raises as `send`."""
        while True:
            try:
                self.producer.produce(self._ledger_topic, value, key)
            except BufferError:
                self.poll(_POLL_S)
            except KafkaException as error:
                raise self.failed(error, f"writing to topic {self._ledger_topic}") from error
            else:
                return
