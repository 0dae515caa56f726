"""Keeps track of outputs that the client could not deliver, and why."""

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
"""Errors of an output that are caused by another output."""


class DeliveryErrors:
    """The delivery callback. Keeps the first failed output: it is the cause of later failures."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget the failure, for the next batch."""
        self.error: KafkaError | None = None
        self.topic = ""
        self.nth: int | None = None
        """Number of the output in its batch, known when outputs are sent one per request."""

    def cause(self, error: KafkaError, of_the_record: Container[int]) -> KafkaError | None:
        """Return why the output failed; `error` is that of the call which failed because of it.

        When the broker rejects several records of a batch, their reports say only that they are
        invalid. The reason is in the call's error, if its code is `of_the_record`.
        """
        known = self.error
        if known is not None and known.code() == KafkaError.INVALID_RECORD:
            return error if error.code() in of_the_record else known
        return known

    def __call__(self, error: KafkaError | None, message: Any, nth: int | None = None) -> None:  # noqa: ANN401  the client's
        """Keep the first failure. The client reports only failures; never raises."""
        if error is not None and self.error is None and error.code() not in _OF_ANOTHER:
            self.error, self.topic, self.nth = error, message.topic(), nth
