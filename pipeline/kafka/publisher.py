"""A plain producer for everything except the worker: generated events, plans, imported files.

Guarantees
    Idempotent: the client's retries neither duplicate nor reorder. When the `with` block ends
    normally, every record is acknowledged by all in-sync replicas; otherwise TransportError is
    raised. There is no transaction: after an error, some of the records may have been written.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import KafkaError, KafkaException

from pipeline.core.record import Headers
from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_producer, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.wait_notices import OnWait, PollingWait, ignore_wait

_FLUSH_S: Final = 60.0
"""How long to wait without any acknowledgement."""
_STEP_S: Final = 0.5
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of the largest record that the client accepts: the topic decides."""


class Publisher:
    """A context manager. Leaving it normally waits until every record is acknowledged."""

    def __init__(self, kafka: LibrdkafkaConfig, on_wait: OnWait = ignore_wait) -> None:
        """`on_wait` is called with a sentence about each longer wait."""
        self._on_wait = on_wait
        config = {
            "linger.ms": 20,
            "compression.type": "lz4",
            "message.max.bytes": _LARGEST,
            **plain_config(kafka),
        }
        self._last_error = LastClientError()
        self._failed: KafkaError | None = None
        self._topic = ""
        self._producer = make_producer(
            {**config, "enable.idempotence": True, "delivery.report.only.error": True},
            self._last_error,
            self._on_delivery,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()

    def _on_delivery(self, error: KafkaError | None, _message: Any) -> None:  # noqa: ANN401
        if error is not None and self._failed is None:
            self._failed = error

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        timestamp: int = 0,
        headers: Headers = (),
    ) -> None:
        """Queue a record (timestamp in epoch ms, 0 for now). TransportError if one was rejected."""
        self._topic = topic
        wait = PollingWait(self._on_wait)
        while True:
            try:
                self._producer.produce(
                    topic, value, key, timestamp=timestamp, headers=list(headers) or None
                )
            except BufferError:
                self._producer.poll(0.1)
                self._raise_if_failed()
                wait.elapsed(self._unacknowledged)
            except KafkaException as error:
                raise self._sentence(kafka_error(error)) from error
            else:
                self._producer.poll(0)
                wait.end(lambda: f"writing to topic {self._topic} goes on")
                return

    def flush(self) -> None:
        """Wait until the broker has acknowledged everything; TransportError when it does not."""
        wait = PollingWait(self._on_wait)
        while self._producer.flush(_STEP_S):
            self._raise_if_failed()
            if wait.elapsed(self._unacknowledged) > _FLUSH_S:
                raise TransportError(f"after {_FLUSH_S:.0f} s {self._unacknowledged()}")
        self._raise_if_failed()
        wait.end(lambda: f"all records for topic {self._topic} are acknowledged")

    def _unacknowledged(self) -> str:
        left = len(self._producer)
        return (
            f"{left:,} records for topic {self._topic} are not acknowledged yet"
            f"{self._last_error.sentence()}"
        )

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            raise self._sentence(self._failed)

    def _sentence(self, error: KafkaError) -> TransportError:
        what = f"writing to topic {self._topic}"
        return refusal(error, what) or TransportError(
            f"{what}: {reason(error)}{self._last_error.sentence()}"
        )
