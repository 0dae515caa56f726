"""What the client reports of outputs that it could not deliver."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from confluent_kafka import KafkaError

from pipeline.kafka import error_codes

_OF_ANOTHER: Final = frozenset(
    {
        error_codes.PURGED_FROM_QUEUE,
        error_codes.PURGED_IN_FLIGHT,
        error_codes.ANOTHER_RECORD_INVALID,
    }
)
"""What becomes of an output because of another one: it is never the cause."""


class DeliveryErrors:
    """The first output that was not delivered: it is the cause, later ones follow from it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """For the next batch."""
        self.error: KafkaError | None = None
        self.topic = ""
        self.nth: int | None = None
        """Its number in the batch, when outputs are sent one by one."""

    def cause(self, error: KafkaError, of_the_record: Container[int]) -> KafkaError | None:
        """Why the output was not delivered; `error` is that of the call which failed over it.

        When the broker refuses several records of one batch, their reports say no more than that
        they are invalid; only the call says why, by a code that is `of_the_record`.
        """
        known = self.error
        if known is not None and known.code() == KafkaError.INVALID_RECORD:
            return error if error.code() in of_the_record else known
        return known

    def __call__(self, error: KafkaError | None, message: Any, nth: int | None = None) -> None:  # noqa: ANN401  the client's
        """The delivery callback; it hears of failures only, and never raises."""
        if error is not None and self.error is None and error.code() not in _OF_ANOTHER:
            self.error, self.topic, self.nth = error, message.topic(), nth
