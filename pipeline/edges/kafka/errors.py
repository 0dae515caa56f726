"""librdkafka's errors → ours: one sentence each that says what is wrong and what to do.

The client tells the cause of a failed connection only in its error callback; the call that
failed says no more than "timed out". `Causes` remembers it, so that the sentence can name it.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.ports import (
    AbortableError,
    FencedError,
    OutcomeUnknownError,
    RefusedError,
    TransportError,
)

_EPOCH_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001  the client's own name for a local code
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)

_NO_TOPIC: Final = "the topic does not exist: run `track-pipeline topics create`"
_REFUSALS: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the broker does not allow it: grant the topic's ACL",
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "the broker does not allow the consumer group: grant READ on the group"
    ),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "the broker does not allow the transactional id: grant WRITE on it (a prefix will do)"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the broker does not allow it: grant the cluster ACL",
    KafkaError.UNKNOWN_TOPIC_OR_PART: _NO_TOPIC,
    KafkaError._UNKNOWN_TOPIC: _NO_TOPIC,  # noqa: SLF001  as above
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a record is larger than the topic takes: raise its max.message.bytes "
        "or lower limits.max_output_bytes"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "the topic refuses a record's timestamp: lift its message.timestamp.*.max.ms limits"
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "transaction_timeout_ms exceeds the broker's transaction.max.timeout.ms: lower it"
    ),
    KafkaError.UNSUPPORTED_VERSION: "the broker is too old: transactions need Kafka 2.5 or later",
}


class EpochFencedError(FencedError):
    """The producer was fenced: by another process, or by the broker for a transaction too long."""


class Causes:
    """The last thing the clients' error callbacks said. Callbacks never raise."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """The `error_cb` of a client; a connection's cause outranks "all brokers down"."""
        all_down = error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
        if self.last is None or not all_down:
            self.last = error

    def sentence(self) -> str:
        """`: <what the client said last>`, or nothing."""
        return f": {reason(self.last)}" if self.last is not None else ""


def reason(error: KafkaError) -> str:
    """What the client says of an error, in one line."""
    return " ".join(f"{error.name()}: {error.str()}".split())


def kafka_error(exception: KafkaException) -> KafkaError:
    """The KafkaError inside a KafkaException."""
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))  # noqa: SLF001


def refusal(error: KafkaError, what: str) -> TransportError | None:
    """What an error is whose meaning does not depend on the call: fenced, or refused; else None."""
    if error.code() == KafkaError.FENCED_INSTANCE_ID:
        return FencedError(
            f"{what}: another live process uses the same instance id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    if error.code() in _EPOCH_FENCED:
        return EpochFencedError(
            f"{what}: another live process uses the same transactional id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    remedy = _REFUSALS.get(error.code())
    return RefusedError(f"{what}: {remedy} ({error.name()})") if remedy else None


def in_transaction(exception: KafkaException, what: str) -> TransportError:
    """What to do about an error from begin, produce or send_offsets."""
    error = kafka_error(exception)
    known = refusal(error, what)
    if known is not None:
        return known
    text = f"{what}: {reason(error)}"
    return AbortableError(text) if error.txn_requires_abort() else OutcomeUnknownError(text)
