"""librdkafka's errors → ours: one sentence each that says what is wrong and what to do.

The client tells the cause of a failed connection only in its error callback; the call that
failed says no more than "timed out". `Causes` remembers it, so that the sentence can name it.
"""

from __future__ import annotations

import re
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
_QUOTED_SECRET: Final = re.compile(r"(?:\w+ )?(sasl\.oauthbearer\.config)\b.*", re.DOTALL)
_FORBIDDEN: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "{operation} on the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "{operation} on the group {group}",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "WRITE on the transactional id {transactional_id} or its prefix"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "{operation} on the cluster",
}
"""What to grant."""
_INSTANCE_FENCED: Final = "Static consumer fenced"
_OPERATIONS: Final = {"writing": "WRITE", "creating": "CREATE", "asking": "DESCRIBE"}
"""The first word of what was done → Kafka's name of the right; all else reads."""
_REFUSALS: Final = {
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


class InstanceFencedError(FencedError):
    """The consumer was fenced: by another process, or by a coordinator that lost track of it."""


class LostTrackError(OutcomeUnknownError):
    """The consumer was fenced by mistake: the transactional id is proven to be this process's."""


class Causes:
    """The last thing the clients' error callbacks said. Callbacks never raise."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.fatal: KafkaError | None = None
        """The client is broken for good; a consumer tells it nowhere else while nothing comes."""

    def __call__(self, error: KafkaError) -> None:
        """The `error_cb` of a client; a connection's cause outranks "all brokers down"."""
        if is_fatal(error):
            self.fatal = error
        all_down = error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
        if self.last is None or not all_down:
            self.last = error

    def sentence(self) -> str:
        """`: <what the client said last>`, or nothing."""
        return f": {reason(self.last)}" if self.last is not None else ""


def is_fatal(error: KafkaError) -> bool:
    """Whether the client is broken for good."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001  the client's name


def reason(error: KafkaError) -> str:
    """What the client says of an error, in one line; it quotes one property, which is secret."""
    text = _QUOTED_SECRET.sub(r"\1 can't be used", error.str())
    return " ".join(f"{error.name()}: {text}".split())


def kafka_error(exception: KafkaException) -> KafkaError:
    """The KafkaError inside a KafkaException."""
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))  # noqa: SLF001


def refusal(
    error: KafkaError, what: str, *, group: str = "", transactional_id: str = ""
) -> TransportError | None:
    """What an error is whose meaning does not depend on the call: fenced, or refused; else None.

    `what` was done, to which topic, begins with its verb: reading, writing, creating or asking.
    """
    # A fatal error keeps its cause in its text only.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or (
        is_fatal(error) and _INSTANCE_FENCED in error.str()
    ):
        return InstanceFencedError(
            f"{what}: another live process uses the same instance id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    if error.code() in _EPOCH_FENCED:
        return EpochFencedError(
            f"{what}: another live process uses the same transactional id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    remedy = _REFUSALS.get(error.code())
    if error.code() in _FORBIDDEN:
        operation = _OPERATIONS.get(what.partition(" ")[0], "READ")
        if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED and operation != "CREATE":
            operation = "IDEMPOTENT_WRITE"  # what else is asked of a cluster
        right = _FORBIDDEN[error.code()].format(
            operation=operation,
            group=group,
            transactional_id=transactional_id,
        )
        remedy = f"the broker does not allow it: grant this user {right.rstrip()}"
    return RefusedError(f"{what}: {remedy} ({error.name()})") if remedy else None


def in_transaction(exception: KafkaException, what: str, *, group: str = "") -> TransportError:
    """What to do about an error from begin, produce or send_offsets."""
    error = kafka_error(exception)
    known = refusal(error, what, group=group)
    if known is not None:
        return known
    text = f"{what}: {reason(error)}"
    return AbortableError(text) if error.txn_requires_abort() else OutcomeUnknownError(text)
